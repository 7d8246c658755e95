"""KeyRef as it crosses the socket."""

from __future__ import annotations

from typing import Any

from hsm.spec import KeyRef, KeySpec, Purpose
from hsm.wire import octets, octets_of, refused, text_of


def ref_as_json(ref: KeyRef) -> dict[str, Any]:
    """A KeyRef as it crosses the socket."""
    purpose = ref.purpose.value if ref.purpose else None
    return {"label": ref.label, "spec": ref.spec.value, "key": octets(ref.public_key_der), "purpose": purpose}


def ref_from_json(body: dict[str, Any]) -> KeyRef:
    """The KeyRef of an answer."""
    purpose = body.get("purpose")
    try:
        spec = KeySpec(text_of(body, "spec"))
        named = None if purpose is None else Purpose(purpose)
    except ValueError:
        raise refused("not a key") from None
    return KeyRef(label=text_of(body, "label"), spec=spec, public_key_der=octets_of(body, "key"), purpose=named)
