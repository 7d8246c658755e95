"""The receipt desk: puts a verdict into words and has it signed with the key that is for receipts alone."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property

from api.errors import RequestError
from api.sources import Source
from api.web.purposes import is_sealed_alone, purposes_of
from api.web.receipt_sheet import receipt_sheet
from api.web.sentences import Voices
from api.web.signature_view import OwnSigner
from api.web.source_view import view_sources
from api.web.verdict_view import VerdictView, view_verdict
from api.wiring import Installation
from api.words import LANGUAGES
from certs.errors import CertsError
from certs.inventory import find_by_sha256
from certs.names import parse_subject
from hsm.errors import HSMError
from pki.authorities import get_authority
from pki.errors import PkiError
from signer.appearance.errors import AppearanceError
from signer.credentials import ROLE_OF_PROFILE
from signer.documents import document_by_code
from signer.errors import SignerError
from signer.receipts.letters import LetterCase
from signer.receipts.sealing import ReceiptDeps, sign_receipt
from signer.sealing import seal, unseal
from signer.validation.dossier import Dossier, parse_dossier
from signer.validation.rules import Policy
from signer.validation.verdict import Verdict, verdict_of

MEDIA_TYPE = "application/pdf"
# Why there may be no receipt while the verdict stands: the key, the service, the font, the disk.
RECEIPT_FAILURES = (HSMError, PkiError, SignerError, AppearanceError, CertsError)
_PURPOSE = "receipt"
# A ticket stands in the page of a verdict; with more signatures than fit it, the page offers no receipt and the API does.
_LARGEST_TICKET = 40 * 1024
_LARGEST_DOSSIER = 16 * 1024 * 1024
_GOOD_FOR = timedelta(hours=1)


class ReceiptDesk:
    """Makes receipts for one installation. Built once a process; every method blocks."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._voices = Voices()

    @cached_property
    def _deps(self) -> ReceiptDeps:
        deps = self._installation
        return ReceiptDeps(deps.services, deps.timestamper, LetterCase(deps.fonts))

    def make(self, verdict: Verdict, language: str) -> bytes:
        """The signed PDF; the errors of keys, time-stamps and fonts."""
        now = self._installation.clock.now()
        view = None if verdict.conclusion == "unreadable" else self.view(verdict)
        sheet = receipt_sheet(verdict, view, self._voices.of(language), language, self._agency(), now)
        return sign_receipt(sheet, self._deps)

    def view(self, verdict: Verdict, sources: tuple[Source, ...] = ()) -> VerdictView:
        """The verdict as pages show it, with what the register knows of its signers and its document."""
        signers = {each.facts.signer.sha256 for each in verdict.judged.signatures if each.facts.signer}
        own: dict[str, OwnSigner] = {}
        purposes: Mapping[str, str] = {}
        alone = False
        with self._installation.database.read() as session:
            for sha256 in signers:
                record = find_by_sha256(session, sha256)
                if record is not None:
                    own[sha256] = OwnSigner(ROLE_OF_PROFILE.get(record.profile, ""), record.revoked_at)
            if verdict.document is not None:
                known = document_by_code(session, verdict.document.code)
                alone, purposes = is_sealed_alone(known), purposes_of(known)
        return view_verdict(verdict, own, sealed_alone=alone, purposes=purposes, sources=view_sources(sources))

    def ticket(self, verdict: Verdict) -> str:
        """A verdict's facts, sealed, so that whoever has the page can have its receipt though nothing was kept. Empty when too large."""
        if verdict.dossier is None:
            return ""
        packed = zlib.compress(json.dumps(verdict.dossier.to_json(), ensure_ascii=False).encode("utf-8"), 9)
        if len(packed) > _LARGEST_TICKET:
            return ""
        return base64.urlsafe_b64encode(seal(packed, _PURPOSE, self._installation.home.uploads_key)).decode("ascii")

    def redeem(self, ticket: str) -> Verdict:
        """The verdict of a ticket, judged again from its facts; RequestError RECEIPT_TICKET_WRONG."""
        try:
            packed = unseal(
                base64.urlsafe_b64decode(ticket.encode("ascii")), _PURPOSE, self._installation.home.uploads_key
            )
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(packed, _LARGEST_DOSSIER)
            dossier = parse_dossier(data, "ticket")
        except (SignerError, ValueError, binascii.Error, zlib.error) as error:
            raise RequestError("RECEIPT_TICKET_WRONG") from error
        if self._installation.clock.now() - dossier.checked_at > _GOOD_FOR:
            raise RequestError("RECEIPT_TICKET_WRONG")
        return verdict_of(dossier, self._policy(dossier))

    def _policy(self, dossier: Dossier) -> Policy:
        return self._installation.leaning.policies.get(dossier.policy)

    def _agency(self) -> str:
        with self._installation.database.read() as session:
            return parse_subject(get_authority(session, "issuing").subject).organization or ""


def parse_language(typed: str) -> str:
    """A language of receipts; RequestError RECEIPT_LANGUAGE_WRONG."""
    if typed not in LANGUAGES:
        raise RequestError("RECEIPT_LANGUAGE_WRONG", typed=typed[:16])
    return typed
