"""Signs a receipt with the key that is for receipts alone: PAdES B-T where a time-stamp is to be had, else B-B."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pki.schemes import sign_ahead
from pki.service_keys import ServiceDesk, ServiceKind
from signer.cms import CmsTemplate
from signer.pades import accept_prepared, check_output, document_digest, embed_signature
from signer.receipts.letters import LetterCase
from signer.receipts.paper import FIELD
from signer.receipts.typeset import Sheet, set_sheet
from signer.timestamps import OneStamp, Timestamper


@dataclass(frozen=True)
class ReceiptDeps:
    """What receipts are made with."""

    services: ServiceDesk
    timestamper: Timestamper
    case: LetterCase


def sign_receipt(sheet: Sheet, deps: ReceiptDeps) -> bytes:
    """The signed PDF. Errors of the key store and ServiceNotReady where no key can sign; FontMissing."""
    service = deps.services.usable(ServiceKind.RECEIPT)[-1]
    template = CmsTemplate(service.certificate, service.chain, service.scheme)
    room = template.reserved_octets(deps.timestamper.room)
    identity = hashlib.sha256("\n".join((sheet.made_at.isoformat(), *sheet.texts())).encode()).digest()[:16]
    pdf, hole = set_sheet(sheet, deps.case, identity, room)
    prepared = accept_prepared(b"", pdf, hole, FIELD)
    attributes = template.signed_attributes(document_digest(prepared, template.scheme.digest))
    stamp = OneStamp(deps.timestamper)
    with sign_ahead(service.key, template.scheme, attributes) as signed:
        output = embed_signature(prepared, template, attributes, signed.signature, stamp.timestamp)
        signed.confirm()
    check_output(output, prepared, template, service.public_key, stamp.checked)
    assert isinstance(output, bytes), "short, and made in memory"
    return output
