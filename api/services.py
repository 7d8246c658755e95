"""What a web process can do, without HTTP: every method blocks, may be called from any thread, and raises the rooms' own errors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from api.ahead import serving_limits
from api.auth.idempotency import IdempotencyDesk
from api.auth.tokens import TokenDesk
from api.errors import RequestError, UsageError
from api.judges import JudgePool
from api.published_lists import list_of
from api.publishing import (
    Publication,
    read_published_certificate,
)
from api.receipts import ReceiptDesk
from api.sources import Sources
from api.wiring import Installation
from api.wishes import PLAIN_WISH, VerdictWish
from api.worker_state import WorkerState, read_worker_state
from certs.errors import CertificateNotFound, DatabaseUnavailable
from certs.inventory import CertificateRecord, State, find_by_key, find_by_sha256, get_certificate
from certs.lost import is_lost
from certs.serial import parse_serial, serial_hex
from hsm.keyd.asking import read_state
from hsm.keyd.places import run_folder
from hsm.keyd.state import KeyState
from pki.audit import Actor
from pki.authorities import AuthorityRecord, AuthorityState, get_authority, list_authorities
from pki.crl_archive import find_latest
from pki.crl_entries import FULL
from pki.errors import AuthorityUnknown
from pki.history import Gap, History, find_loss, history_of
from pki.issuance import issue_wanted
from pki.ocsp_recent import RecentAnswers
from pki.registration import register_at_once
from pki.registration_records import Wanted, get_registration, registration_of_certificate
from pki.renewal import RenewalRequest, renew
from pki.revocation import reinstate, revoke
from pki.roles import Permission, require
from signer.batches import Batch, NewBatch, add_batch, batch_by_code, cancel_batch, count_waiting, find_batch
from signer.credential_renewal import CredentialRenewal, renew_credential
from signer.credentials import find_by_certificate
from signer.documents import Document, document_by_code, find_by_revisions, find_signed
from signer.enrolment import EnrolmentDeps
from signer.errors import UsageWrong
from signer.given import Given
from signer.handing_over import OutsideWish, cancel_document, finish_document, prepare_document
from signer.known_files import KnownFiles
from signer.lineage import Lineage, document_status, lineage_of
from signer.octets import Octets, sha256_of
from signer.password import NO_PASSWORD, Password
from signer.prepared import PreparedDocument, find_prepared, get_prepared
from signer.preview import Preview, PreviewWish, preview_document
from signer.printing import Printed, PrintWish, print_document
from signer.raising import upgrade_document
from signer.recall import recall_document
from signer.register_search import DocumentQuery, search_documents
from signer.signing import SignedDocument, SignRequest, sign_document
from signer.succession import Succession, record_succession
from signer.validation.verdict import DocumentStatus, Verdict

# So many full batches of a token may wait at a time.
_MOST_WAITING = 20


class Services:
    """Built once a process from its installation. Pages and API call the same methods."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.sources = Sources(installation.database, installation.clock)
        self.receipts = ReceiptDesk(installation)
        # Whether people only practise here, as far as the register has said so by now: pages cannot wait for it.
        self.training = False
        self._judges = JudgePool(
            installation.settings.web.judges,
            serving_limits(installation.settings),
            installation.database,
            installation.clock,
            installation.stamp_anchors,
            installation.leaning,
        )

    @cached_property
    def tokens(self) -> TokenDesk:
        return TokenDesk(self.installation.database, self.installation.clock)

    @cached_property
    def idempotency(self) -> IdempotencyDesk:
        return IdempotencyDesk(self.installation.database, self.installation.clock)

    @cached_property
    def ocsp(self) -> RecentAnswers:
        return RecentAnswers(self.installation.ocsp, self.installation.database, self.installation.clock)

    def start(self) -> None:
        """Build what threads share, and start the judge processes that the first requests will want. Opens no key."""
        deps = self.installation
        # Some ask the register what this installation is. When that is away, the rest of the service is there nevertheless, and such a
        # part is built by the first who needs it and finds the register again.
        parts: tuple[Callable[[], object], ...] = (
            self.learn_training, lambda: deps.signing, lambda: deps.handover, lambda: deps.leveling, lambda: deps.tsa, lambda: deps.twins,
            lambda: deps.approvals, lambda: deps.by_registration, lambda: deps.registrations,
            lambda: self.ocsp, lambda: self.tokens, lambda: self.idempotency,
        )  # fmt: skip
        for build in parts:
            with suppress(DatabaseUnavailable):
                build()
        deps.judge.start()
        self._judges.start()

    def learn_training(self) -> None:
        """Ask the register, unless it has said it: DatabaseUnavailable."""
        self.training = self.installation.training

    def verify(
        self,
        pdf: Octets,
        name: str,
        password: Password = NO_PASSWORD,
        wish: VerdictWish = PLAIN_WISH,
        content: Octets | None = None,
    ) -> Verdict:
        """The verdict on one file. Needs no key; DatabaseUnavailable when the register cannot be asked, UsageWrong POLICY_UNKNOWN.

        `content`: what a signature or time-stamp in a file of its own belongs to.
        """
        policy = self.installation.leaning.policies.get(wish.policy)
        verdict = self._judges.verify(pdf, name, password, policy, wish.at, content)
        if verdict.sha256 is not None:
            self.sources.note_read()  # no verdict on a file that was read comes without the register
        return verdict

    def known_files(self, wish: VerdictWish = PLAIN_WISH) -> KnownFiles:
        """Files of the register, judged without anybody sending them."""
        deps = self.installation
        policy = deps.leaning.policies.get(wish.policy)
        judging = functools.partial(self.verify, wish=wish)
        return KnownFiles(deps.database, deps.blobs, deps.clock, judging, policy)

    def sign(self, request: SignRequest, actor: Actor) -> SignedDocument:
        """Sign one document by the whole signing cycle."""
        return sign_document(request, actor, self.installation.signing)

    def preview(self, request: SignRequest, wish: PreviewWish, actor: Actor) -> Preview:
        """The picture of a document as it will look when it is signed; nothing is stored."""
        installation = self.installation
        return preview_document(request, wish, actor, installation.signing, installation.judging)

    def add_batch(self, wanted: NewBatch, actor: Actor) -> Batch:
        """Register documents that the worker will sign; RequestError BATCH_TOO_MANY when too many of this token wait already."""
        with self.installation.database.read() as session:
            waiting = count_waiting(session, wanted.token_id)
        most = _MOST_WAITING * self.installation.settings.web.max_batch_documents
        if waiting + len(wanted.documents) > most:
            raise RequestError("BATCH_TOO_MANY", waiting=str(waiting), limit=str(most))
        installation = self.installation
        return add_batch(wanted, actor, installation.database, installation.uploads, installation.clock)

    def batch(self, code: str) -> Batch:
        """A batch with its documents; UsageWrong BATCH_UNKNOWN."""
        with self.sources.reading() as session:
            return batch_by_code(session, code)

    def batch_since(self, wanted: NewBatch, since: datetime) -> Batch | None:
        """The batch that came of a request, registered after a moment."""
        with self.sources.reading() as session:
            return find_batch(session, wanted.token_id, wanted.request_sha256, since)

    def cancel_batch(self, code: str, actor: Actor) -> Batch:
        """Sign no more of a batch."""
        return cancel_batch(code, actor, self.installation.database, self.installation.clock)

    def prepare(self, request: SignRequest, outside: OutsideWish | None, actor: Actor) -> PreparedDocument:
        """Make a document ready for a signature that is made elsewhere or later."""
        return prepare_document(request, actor, self.installation.handover, outside)

    def prepared(self, prepared_id: str) -> PreparedDocument:
        """A prepared document; UsageWrong PREPARED_UNKNOWN."""
        with self.sources.reading() as session:
            return get_prepared(session, prepared_id)

    def prepared_since(
        self, request: SignRequest, outside: OutsideWish | None, actor: Actor, since: datetime
    ) -> PreparedDocument | None:
        """What an actor prepared of these bytes for this signer, in the second of a moment or later."""
        digest = sha256_of(request.pdf)
        who = {"credential": request.credential or None, "actor": actor.name, "subfilter": request.subfilter}
        if outside is not None:
            who["certificate_serial"] = serial_hex(outside.certificate.serial_number)
        with self.sources.reading() as session:
            return find_prepared(session, digest, who, since.replace(microsecond=0))

    def finish_prepared(self, prepared_id: str, given: Given, actor: Actor) -> SignedDocument:
        """Put a signature into a prepared document."""
        return finish_document(prepared_id, given, actor, self.installation.handover)

    def cancel_prepared(self, prepared_id: str, actor: Actor) -> PreparedDocument:
        """Call a prepared document off."""
        return cancel_document(prepared_id, actor, self.installation.handover)

    def document(self, code: str) -> Document:
        """A document by its code as people type it; UsageWrong CODE_MALFORMED or CODE_NOT_FOUND."""
        with self.sources.reading() as session:
            return document_by_code(session, code)

    def document_history(self, code: str) -> tuple[Document, Lineage]:
        """A document, what became of it since it was signed, and which one holds now."""
        with self.sources.reading() as session:
            document = document_by_code(session, code)
            return document, lineage_of(session, document.code)

    def documents(self, wanted: DocumentQuery, limit: int, after: str | None) -> list[Document]:
        """Documents of the register that fit, newest first."""
        with self.sources.reading() as session:
            return search_documents(session, wanted, limit, after)

    def document_file(self, code: str) -> tuple[Document, Octets]:
        """A document and the octets of its newest signed revision; UsageWrong CODE_NOT_FOUND when none was finished."""
        document = self.document(code)
        if document.sha256 is None:
            raise UsageWrong("CODE_NOT_FOUND", typed=document.code)
        return document, self.installation.blobs.open(document.sha256)

    def print(self, wish: PrintWish, actor: Actor) -> Printed:
        """The print rendition of a document that is in force."""
        return print_document(wish, self._judges, actor, self.installation.printing)

    def upgrade(self, code: str, level: str, actor: Actor) -> None:
        """Raise a document's newest file to a higher level, in its place."""
        upgrade_document(code, level, actor, self.installation.leveling)

    def recall(self, code: str, reason: str, actor: Actor) -> Document:
        """Take a document out of force, for everybody and at once."""
        return recall_document(code, reason, actor, self.installation.database, self.installation.clock)

    def succeed(self, wanted: Succession, actor: Actor) -> Document:
        """Let one document replace or correct another, for everybody and at once."""
        return record_succession(wanted, actor, self.installation.database, self.installation.clock)

    def signed_since(self, input_sha256: str, credential: str, actor: Actor, since: datetime) -> Document | None:
        """The document that an actor signed from these bytes with this credential, finished after a moment."""
        with self.sources.reading() as session:
            return find_signed(session, input_sha256, credential, actor.name, since)

    def registered(self, sha256: str) -> DocumentStatus | None:
        """Code and status of the document that one of its signed revisions has this SHA-256, if there is one."""
        with self.sources.reading() as session:
            found = find_by_revisions(session, [sha256.lower()])
            return None if found is None else document_status(session, found)

    def certificate(self, serial: str) -> CertificateRecord:
        """A certificate by its serial as people paste it; CertificateNotFound also for one that was never finished.

        One that was lost in a restore is found: it was given to somebody, and lists and OCSP may say something of it.
        """
        with self.sources.reading() as session:
            record = get_certificate(session, parse_serial(serial))
        if record.der is None and not is_lost(record):
            raise CertificateNotFound(f"{record.serial} was never finished", serial=record.serial)
        return record

    def lost_certificate(self, der: bytes) -> CertificateRecord | None:
        """The lost record of a certificate that somebody brings: ours, by its serial and its issuer's signature."""
        try:
            certificate = x509.load_der_x509_certificate(der)
            record = self.certificate(serial_hex(certificate.serial_number))
            if not is_lost(record):
                return None
            issuer = next(own for authority, own in self.authorities() if authority.name == record.issuer and own)
            certificate.verify_directly_issued_by(issuer.certificate())
        except (ValueError, TypeError, StopIteration, UnsupportedAlgorithm, InvalidSignature, CertificateNotFound):
            return None
        return record

    def loss_of(self, record: CertificateRecord) -> Gap | None:
        """The days with which a certificate's record was lost."""
        if not is_lost(record):
            return None
        with self.sources.reading() as session:
            return find_loss(session, record)

    def issue(self, wanted: Wanted, evidence: str | None, actor: Actor) -> CertificateRecord:
        """Issue what is wanted; with evidence also store its registration, confirmed."""
        number = None
        if evidence is not None:
            number = register_at_once(wanted, evidence, actor, self.installation.registrations).id
        return issue_wanted(wanted, number, actor, self.installation.issuing_today())

    def issue_registered(self, number: int, actor: Actor) -> CertificateRecord:
        """Issue by a confirmed registration."""
        require(actor, Permission.ISSUE)
        with self.sources.reading() as session:
            wanted = get_registration(session, number).wanted
        return issue_wanted(wanted, number, actor, self.installation.issuing_today())

    def issued_since(self, number: int | None, wanted: Wanted | None, since: datetime) -> CertificateRecord | None:
        """The certificate that was issued by a registration, or for what is wanted, at this time or later."""
        with self.sources.reading() as session:
            if wanted is None:
                serial = get_registration(session, number or 0).certificate_serial
                found = [get_certificate(session, serial)] if serial is not None else []
            else:
                found = find_by_key(session, wanted.public_key_der or b"")
        same = [
            each for each in found if wanted is None or (each.profile, each.subject) == (wanted.profile, wanted.subject)
        ]
        return next((each for each in same if each.state is State.ACTIVE and each.created_at >= since), None)

    def registration_of(self, serial: str) -> int | None:
        """The number of the registration that a certificate was issued by."""
        with self.sources.reading() as session:
            found = registration_of_certificate(session, serial)
        return found.id if found is not None else None

    def past(self, serial: str, at: datetime) -> History:
        """What was true of a certificate at a time; CertificateNotFound, HistoryTimeRefused."""
        record, now = self.certificate(serial), self.installation.clock.now()
        with self.sources.reading() as session:
            return history_of(session, record.serial, at, now)

    def revoke(self, serial: str, reason: str, since: datetime | None, actor: Actor) -> CertificateRecord:
        """Revoke or suspend. The worker publishes it, at once when a key was compromised."""
        return revoke(parse_serial(serial), reason, actor, self.installation.revocation, since)

    def reinstate(self, serial: str, actor: Actor) -> CertificateRecord:
        """End a suspension."""
        return reinstate(parse_serial(serial), actor, self.installation.revocation)

    def renew(self, request: RenewalRequest, actor: Actor) -> CertificateRecord:
        """The certificate that follows another: with the key of a CSR, or with the same one. A credential of ours signs with it at once."""
        require(actor, Permission.ISSUE)
        record = self.certificate(request.serial)
        with self.sources.reading() as session:
            credential = find_by_certificate(session, record.serial)
        installation = self.installation
        issuing = installation.issuing_today(record.issuer)
        if credential is None:
            return renew(replace(request, serial=record.serial), actor, issuing)
        if request.public_key_der is not None:
            raise UsageError("REKEY_MAKES_THE_KEY", name=credential.name)
        deps = EnrolmentDeps(installation.keys, issuing, installation.settings.sign.rsa_padding)
        return renew_credential(CredentialRenewal(credential.name, request.days, request.force), actor, deps)

    def certificate_by_sha256(self, sha256: str) -> CertificateRecord | None:
        """The certificate of ours with this fingerprint, if there is one."""
        with self.sources.reading() as session:
            return find_by_sha256(session, sha256)

    def authorities(self) -> list[tuple[AuthorityRecord, CertificateRecord | None]]:
        """Our authorities, roots first, each with its certificate."""
        with self.sources.reading() as session:
            return [
                (each, get_certificate(session, each.serial) if each.serial else None)
                for each in list_authorities(session)
            ]

    def authority_certificate(self, name: str) -> Publication:
        """An authority's certificate; AuthorityUnknown when it has none yet. While the database is away, the published file."""
        try:
            with self.sources.reading() as session:
                authority = get_authority(session, name)
                record = get_certificate(session, authority.serial) if authority.serial else None
        except DatabaseUnavailable:
            published = read_published_certificate(self.installation.home, name)
            if published is None:
                raise
            return published
        if record is None or record.der is None or record.sha256 is None:
            raise AuthorityUnknown(f"{name} has no certificate", authority=name, valid="")
        return Publication(record.der, record.sha256, record.not_before, None, is_newest=True)

    def crl(
        self, authority: str, number: int | None = None, *, shard: int = FULL, is_delta: bool = False
    ) -> Publication:
        """The newest CRL of a scope or its delta, or the one of a number; AuthorityUnknown or CrlNotFound."""
        return list_of(self.sources, self.installation.home, authority, number, shard=shard, is_delta=is_delta)

    def worker(self) -> WorkerState | None:
        """What the worker last said of its jobs; None where none runs."""
        return read_worker_state(self.installation.home.run, self.installation.clock.now())

    def key_process(self) -> KeyState | None:
        """What the key process says of itself and the token, also while the token hangs; None where none answers."""
        return read_state(run_folder(self.installation.home.root))

    def stale_crls(self, now: datetime) -> list[str]:
        """Authorities with a scope that has no complete list that is good now."""
        stale = []
        with self.sources.reading() as session:
            for authority in list_authorities(session):
                if authority.state is AuthorityState.PENDING:
                    continue
                lists = (find_latest(session, authority.name, k) for k in range(authority.crl_partitions + 1))
                if any(crl is None or crl.next_update <= now for crl in lists):
                    stale.append(authority.name)
        return stale

    def end_work(self) -> None:
        """End the judge processes, so that nobody waits for a file any more."""
        self._judges.close()
        self.installation.judge.abort()

    def close(self) -> None:
        """Give back everything that was opened."""
        self.end_work()
        self.installation.close()
