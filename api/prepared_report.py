"""A prepared document as programs are told of it, by the command line and over HTTP alike."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from certs.clock import rfc3339
from signer.pades import PreparedPdf
from signer.prepared import PreparedDocument


def describe_prepared(one: PreparedDocument) -> dict[str, Any]:
    """`to_be_signed` are the octets that the signer's key signs, `hash` their digest; `document_digest` is what a whole CMS is over."""
    return {
        "id": one.id,
        "state": one.state,
        "code": one.code,
        "credential": one.credential,
        "certificate": one.certificate_serial,
        "name": one.name,
        "intent": one.intent,
        "level": one.level,
        "subfilter": one.subfilter,
        "number": one.number.number if one.number else None,
        "field": one.field,
        "placed": one.placed,
        "signature_algorithm": one.scheme.value,
        "digest_algorithm": one.scheme.digest,
        "document_digest": one.digest,
        "to_be_signed": base64.b64encode(one.to_be_signed).decode("ascii"),
        "hash": hash_of(one),
        "room": one.room,
        "claimed_time": rfc3339(one.claimed_time),
        "expires_at": rfc3339(one.expires_at),
        "failure": one.failure or None,
    }


def hash_of(one: PreparedDocument) -> str:
    """What a signer is given who hashes nothing himself."""
    return hashlib.new(one.scheme.digest, one.to_be_signed).hexdigest()


def content_of(prepared: PreparedPdf) -> bytes:
    """What the signature covers, for programs that make a whole CMS of a content."""
    return prepared.content[: prepared.hole[0]] + prepared.content[prepared.hole[1] :]
