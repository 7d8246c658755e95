"""What a form asks to be signed: its fields, read into a request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import TypeVar

from api.errors import RequestError
from api.forms import PASSWORD, Form
from api.settings import SignSettings
from signer.appearance.geometry import parse_placement
from signer.errors import UsageWrong
from signer.levels import LEVELS
from signer.metadata import parse_metadata
from signer.octets import Octets, sha256_of
from signer.office_policy import INTENTS, PARTICULARS
from signer.particulars import Particulars, parse_particulars
from signer.protection import parse_protection
from signer.signing import SignRequest
from signer.subfilters import SUBFILTERS

U = TypeVar("U", str, None)

# What a form says of a signature besides the file.
FIELDS = (
    "credential", "intent", "level", "metadata", "placement", "field", "certify", "lock", "subfilter", "activation", PASSWORD,
    *PARTICULARS,
)  # fmt: skip


def sign_request(form: Form, settings: SignSettings) -> SignRequest:
    """What a form asks to be signed; RequestError for a value that cannot be meant."""
    fields = form.fields
    level = chosen(fields, "level", LEVELS, settings.level)
    subfilter = chosen(fields, "subfilter", SUBFILTERS, settings.subfilter)
    intent = chosen(fields, "intent", INTENTS, None)
    placement = fields.get("placement") or "auto"
    parse_placement(placement)
    try:
        metadata = json.loads(fields["metadata"]) if fields.get("metadata") else {}
    except (ValueError, RecursionError):
        raise UsageWrong("METADATA_NOT_OBJECT") from None
    return SignRequest(
        pdf=form.content(), name=form.name, credential=fields.get("credential", ""), intent=intent, level=level,
        metadata=parse_metadata(metadata), placement=placement, field=fields.get("field") or None, subfilter=subfilter,
        protection=parse_protection(fields.get("certify") or None, fields.get("lock") or None), password=form.password(),
        particulars=particulars_of(fields),
        activation=fields.get("activation") or None,
    )  # fmt: skip


def chosen(fields: Mapping[str, str], name: str, valid: Collection[str], usual: U) -> str | U:
    """What a field says, or what is usual where it says nothing; RequestError for what is none of the valid values."""
    value = fields.get(name) or usual
    if value is not None and value not in valid:
        raise RequestError("FORM_VALUE_WRONG", field=name, valid=", ".join(valid))
    return value


def particulars_of(fields: Mapping[str, str]) -> Particulars:
    """What some intents need to be told."""
    return parse_particulars(*(fields.get(name) or None for name in PARTICULARS))


def body_sha256(fields: dict[str, str], pdf: Octets) -> str:
    """What makes two requests the same one: file and fields, however the form around them was written."""
    # Without the password: this is stored, and a password that people choose can be guessed from its hash.
    said = sorted(item for item in fields.items() if item[0] != PASSWORD)
    written = json.dumps([said, sha256_of(pdf)])
    return hashlib.sha256(written.encode()).hexdigest()
