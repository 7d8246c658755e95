"""The checks of a home: what is wrong and how to mend it. Reads everything, changes nothing."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import text

from api.ahead import judge_limits
from api.backup.create import SUBJECT
from api.key_uses import key_uses
from api.keys import pin_source
from api.migrations import is_current
from api.publishing import unpublished
from api.wiring import Installation
from certs.clock import for_people
from certs.errors import CertsError
from certs.inventory import State, get_certificate
from certs.lost import find_lost, is_lost
from certs.outages import database_errors
from certs.outside import OutsideCertificate, get_outside
from certs.search import MOST, CertificateQuery, search
from hsm.errors import HSMError, TokenAway
from pki.audit import list_acts
from pki.audit_survey import survey_ends
from pki.authorities import AuthorityState, list_authorities
from pki.crl_archive import find_latest
from pki.crl_due import list_due
from pki.errors import PkiError
from pki.service_keys import is_service_ready, list_services
from signer.appearance.errors import FontMissing
from signer.credentials import STANDING, CredentialSummary, list_credentials
from signer.documents import finished_revisions, open_intents
from signer.errors import Refused, SignerError
from signer.handing_over import stored_file
from signer.image_registry import list_images
from signer.numbering import open_reservations
from signer.outside_credentials import list_outside
from signer.planning import DRAWN_STYLES
from signer.prepared import TAKEN, WAITING, PreparedDocument, list_prepared
from signer.trust_lists import list_lists
from signer.trust_store import list_trusted
from signer.validation.errors import ValidationError

# An intent younger than this may belong to a signature that is being made.
IN_PROGRESS = timedelta(minutes=5)
OLD_BACKUP = timedelta(days=7)


@dataclass(frozen=True)
class Finding:
    """One line of the doctor. `severity`: ok, note (as it should be, but worth knowing) or wrong."""

    check: str
    severity: str
    code: str
    facts: dict[str, str] = field(default_factory=dict)


def examine(installation: Installation) -> list[Finding]:
    """Run every check; one that cannot be carried out is itself wrong, and the others go on."""
    findings: list[Finding] = []
    for name, check in _CHECKS.items():
        found = list(_guarded(name, check, installation))
        findings += found or [Finding(name, "ok", f"DOCTOR_{name.upper()}_OK")]
    return findings


def _guarded(
    name: str, check: Callable[[Installation], Iterator[Finding]], installation: Installation
) -> Iterator[Finding]:
    try:
        yield from check(installation)
    except (CertsError, PkiError, HSMError, SignerError, ValidationError) as error:
        yield Finding(name, "wrong", "DOCTOR_CANNOT_CHECK", {"check": name, "error": error.code, "detail": str(error)})


def _home(installation: Installation) -> Iterator[Finding]:
    """The PIN and what lies beside it are the owner's alone."""
    home = installation.home
    for path in (home.root, home.pin_file, home.so_pin_file, home.tokens):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding("home", "wrong", "DOCTOR_HOME_OPEN", {"path": path.name if path != home.root else str(path)})


def _kind(installation: Installation) -> Iterator[Finding]:
    """Whether it serves in earnest."""
    if installation.training:
        yield Finding("kind", "note", "TRAINING_HOME")


def _database(installation: Installation) -> Iterator[Finding]:
    if not is_current(installation.database.engine):
        yield Finding("database", "wrong", "DOCTOR_DATABASE_OLD")
        return
    with database_errors(), installation.database.read() as session:
        if session.get_bind().dialect.name == "sqlite":
            answer = session.execute(text("PRAGMA quick_check(1)")).scalar_one()
            if answer != "ok":
                yield Finding("database", "wrong", "DOCTOR_DATABASE_DAMAGED", {"detail": str(answer)})


def _keys(installation: Installation) -> Iterator[Finding]:
    """The token is there, and every key that somebody counts on is in it, cannot leave it and is for what it is used for."""
    told = installation.keys.settled_state()
    if told is None or told.state != "ok":
        detail = told.reason if told is not None else TokenAway.code
        file = str(pin_source(installation.home, installation.settings))
        facts = {"token": installation.settings.hsm.token_label, "detail": detail, "path": file}
        refused = told is not None and told.is_pin_refused
        yield Finding("keys", "wrong", "DOCTOR_PIN_REFUSED" if refused else "DOCTOR_TOKEN_AWAY", facts)
        if told is None or not told.serves:
            return
    uses = key_uses(installation.database)
    kept = {ref.public_key_der: ref for ref in installation.keys.list_keys()}
    for public_key_der, use in uses.items():
        try:
            installation.keys.check_protected(public_key_der)
        except HSMError as error:
            yield Finding("keys", "wrong", "DOCTOR_KEY_WRONG", {"name": use.name, "error": error.code})
            continue
        ref = kept.get(public_key_der)
        purpose = ref.purpose if ref is not None else use.purpose
        if purpose is None:
            yield Finding("keys", "wrong", "DOCTOR_KEY_NO_PURPOSE", {"name": use.name})
        elif purpose is not use.purpose:
            facts = {"name": use.name, "purpose": purpose.value, "wanted": use.purpose.value}
            yield Finding("keys", "wrong", "DOCTOR_KEY_PURPOSE_WRONG", facts)
    for ref in kept.values():
        if ref.public_key_der not in uses:
            yield Finding("keys", "note", "DOCTOR_KEY_UNUSED", {"label": ref.label, "key_id": ref.key_id.hex()})


def _credentials(installation: Installation) -> Iterator[Finding]:
    now = installation.clock.now()
    with installation.database.read() as session:
        for credential in list_credentials(session):
            if credential.outside_sha256 is not None:
                yield from _official(credential, get_outside(session, credential.outside_sha256), installation)
                continue
            record = get_certificate(session, credential.certificate_serial)
            state = record.state_at(now)
            facts = {"name": credential.name, "state": state.value, "until": for_people(record.not_after)}
            if state is State.SUSPENDED:
                yield Finding("credentials", "note", "DOCTOR_CREDENTIAL_SUSPENDED", facts)
            elif state is not State.ACTIVE:
                yield Finding("credentials", "note", "DOCTOR_CREDENTIAL_NOT_ACTIVE", facts)
            elif record.not_after - now < timedelta(days=30):
                yield Finding("credentials", "note", "DOCTOR_CREDENTIAL_ENDS", facts)
            elif credential.activation == STANDING:
                yield Finding("credentials", "note", "DOCTOR_CREDENTIAL_STANDING", facts)
    yield from _outside_credentials(installation)


def _outside_credentials(installation: Installation) -> Iterator[Finding]:
    """Certificates whose key is elsewhere are renewed elsewhere: whoever enrols has to be told in time."""
    now = installation.clock.now()
    with installation.database.read() as session:
        for one in list_outside(session):
            facts = {"name": one.name, "state": State.EXPIRED.value, "until": for_people(one.not_after)}
            if one.ended_at is None and one.not_after < now:
                yield Finding("credentials", "note", "DOCTOR_CREDENTIAL_NOT_ACTIVE", facts)
            elif one.ended_at is None and one.not_after - now < timedelta(days=30):
                yield Finding("credentials", "note", "DOCTOR_CREDENTIAL_ENDS", facts)


def _official(
    credential: CredentialSummary, certificate: OutsideCertificate, installation: Installation
) -> Iterator[Finding]:
    """One whose certificate others have issued: in its term, and proved good by what may be asked."""
    now = installation.clock.now()
    facts = {"name": credential.name, "state": State.EXPIRED.value, "until": for_people(certificate.not_after)}
    if now > certificate.not_after:
        yield Finding("credentials", "note", "DOCTOR_CREDENTIAL_NOT_ACTIVE", facts)
    elif certificate.not_after - now < timedelta(days=30):
        yield Finding("credentials", "note", "DOCTOR_OFFICIAL_ENDS", facts)
    elif credential.activation == STANDING:
        yield Finding("credentials", "note", "DOCTOR_CREDENTIAL_STANDING", facts)


def _trust(installation: Installation) -> Iterator[Finding]:
    """Revocation lists that were brought here are still good: without one, official certificates sign nothing."""
    now = installation.clock.now()
    with installation.database.read() as session:
        trusted, lists = list_trusted(session), list_lists(session)
        official = [each for each in list_credentials(session) if each.outside_sha256 is not None]
    for one in lists:
        facts = {"issuer": one.issuer, "until": for_people(one.next_update)}
        if one.next_update <= now:
            yield Finding(
                "trust", "wrong" if official and installation.strangers is None else "note", "DOCTOR_LIST_ENDED", facts
            )
    for each in trusted:
        if each.is_anchor and each.not_after <= now:
            facts = {"subject": each.subject, "until": for_people(each.not_after)}
            yield Finding("trust", "note", "DOCTOR_ANCHOR_ENDED", facts)


def _crl(installation: Installation) -> Iterator[Finding]:
    """Relying parties find a list that is fresh and says what the inventory says."""
    now = installation.clock.now()
    policy = installation.crls.policy
    told = set()
    with installation.database.read() as session:
        for authority in list_authorities(session):
            if authority.state is AuthorityState.PENDING:
                continue
            facts = {"authority": authority.name}
            scopes = range(authority.crl_partitions + 1)
            lists = [find_latest(session, authority.name, shard) for shard in scopes]
            deltas = [find_latest(session, authority.name, shard, is_delta=True) for shard in scopes]
            is_due = any(each.complete for each in list_due(session, authority, policy, now, hurry=True))
            if any(crl is None or crl.next_update <= now for crl in lists):
                told.add(authority.name)
                yield Finding("crl", "wrong", "DOCTOR_CRL_ENDED", facts)
            elif is_due or (
                policy.has_deltas(authority.parent) and any(crl is None or crl.next_update <= now for crl in deltas)
            ):
                told.add(authority.name)
                yield Finding("crl", "wrong", "DOCTOR_CRL_DUE", facts)
    for name in sorted({crl.authority for crl in unpublished(installation)} - told):
        yield Finding("crl", "wrong", "DOCTOR_CRL_UNPUBLISHED", {"authority": name})


def _register(installation: Installation) -> Iterator[Finding]:
    """Nothing was begun and forgotten, and every signed revision is there as it was signed."""
    now = installation.clock.now()
    before = now - IN_PROGRESS
    with installation.database.read() as session:
        acts = open_intents(session, before)
        numbers = open_reservations(session, before)
        # Old ones alone are asked for: among very many that are at work an old one would not be found.
        intents = search(session, now, CertificateQuery(state=State.INTENT, issued_before=before))
        lost = find_lost(session, MOST)
        revisions = finished_revisions(session)
        waiting = list_prepared(session, (WAITING, TAKEN), MOST)
    for act in acts:
        yield Finding("register", "wrong", "DOCTOR_ACT_OPEN", {"act": str(act.id), "credential": act.signed_by})
    for number in numbers:
        yield Finding("register", "wrong", "DOCTOR_NUMBER_OPEN", {"number": str(number)})
    # Issued in days that a restored backup does not know: nobody is at work on them, whatever their age.
    for serial in lost:
        yield Finding("register", "wrong", "DOCTOR_CERTIFICATE_LOST", {"serial": serial})
    for intent in intents:
        if not is_lost(intent):
            yield Finding("register", "wrong", "DOCTOR_CERTIFICATE_INTENT", {"serial": intent.serial})
    for one in waiting:
        yield from _prepared(one, installation)
    for code, sha256 in revisions:
        try:
            installation.blobs.open(sha256)
        except SignerError as error:
            yield Finding("register", "wrong", f"DOCTOR_{error.code}", {"code": code, "sha256": sha256})


def _images(installation: Installation) -> Iterator[Finding]:
    """The octets of every registered picture are there as somebody agreed to them."""
    with installation.database.read() as session:
        images = list_images(session)
    for image in images:
        try:
            installation.images.check(image.sha256)
        except SignerError as error:
            code = "DOCTOR_IMAGE_ALTERED" if error.code == "BLOB_ALTERED" else "DOCTOR_IMAGE_MISSING"
            facts = {"id": str(image.id), "owner": image.owner, "sha256": image.sha256}
            yield Finding("images", "wrong", code, facts)


def _fonts(installation: Installation) -> Iterator[Finding]:
    """What stamps are drawn with is there; names in scripts without a font are refused."""
    try:
        for style in DRAWN_STYLES:
            installation.fonts.font(style)
    except FontMissing as error:
        with installation.database.read() as session:
            signs = bool(list_credentials(session))
        yield Finding("fonts", "wrong" if signs else "note", "DOCTOR_FONT_MISSING", error.facts)
    for package in installation.fonts.others.missing_packages():
        yield Finding("fonts", "note", "DOCTOR_FONT_PACKAGE_MISSING", {"package": package})


def _prepared(one: PreparedDocument, installation: Installation) -> Iterator[Finding]:
    """What waits for its signature is there as it was prepared, and nobody has died over it."""
    now = installation.clock.now()
    if one.expires_at <= now or (one.taken_at is not None and one.taken_at <= now - IN_PROGRESS):
        yield Finding("register", "wrong", "DOCTOR_PREPARED_LEFT", {"id": one.id})
    try:
        stored_file(one, installation.blobs)
    except Refused as error:
        code = "DOCTOR_PREPARED_ALTERED" if error.code == "PREPARED_ALTERED" else "DOCTOR_PREPARED_MISSING"
        yield Finding("register", "wrong", code, {"id": one.id})


def _judge(installation: Installation) -> Iterator[Finding]:
    """The process that parses strangers' files starts and answers, and which walls stand around it."""
    if not installation.judging.answers():
        yield Finding("judge", "wrong", "DOCTOR_JUDGE_SILENT")
        return
    walls, limits = installation.judging.walls(), judge_limits(installation.settings)
    judging, preparing = limits.of("gather"), limits.of("prepare")
    facts = {
        "memory": str(judging.memory_bytes // 2**20), "seconds": f"{judging.wall_seconds:g}",
        "prepare_memory": str(preparing.memory_bytes // 2**20), "prepare_seconds": f"{preparing.wall_seconds:g}",
    }  # fmt: skip
    if not walls.is_limited or walls.memory_bytes > preparing.memory_bytes:
        yield Finding("judge", "wrong", "DOCTOR_JUDGE_UNBOUNDED")
    else:
        yield Finding("judge", "ok", "DOCTOR_JUDGE_BOUNDED", facts)
    if walls.own_network:
        yield Finding("judge", "ok", "DOCTOR_JUDGE_OFFLINE")
    else:
        yield Finding("judge", "note", "DOCTOR_JUDGE_ONLINE")
    if walls.landlock:
        yield Finding("judge", "ok", "DOCTOR_JUDGE_NO_FILES", {"version": str(walls.landlock)})
    else:
        yield Finding("judge", "note", "DOCTOR_JUDGE_SEES_FILES")


def _services(installation: Installation) -> Iterator[Finding]:
    """OCSP responder and time-stamping authority have a certificate in force; `init` renews what is about to end."""
    now = installation.clock.now()
    with installation.database.read() as session:
        for service in list_services(session):
            record = get_certificate(session, service.serial) if service.serial else None
            in_force = record is not None and record.state_at(now) is State.ACTIVE
            if not in_force or not is_service_ready(session, service.name, now):
                yield Finding("services", "wrong", "DOCTOR_SERVICE_NOT_READY", {"name": service.name})


def _audit(installation: Installation) -> Iterator[Finding]:
    """The newest rows of the audit trail follow one another; all of them is for `antin audit verify`."""
    with installation.database.read() as session:
        survey = survey_ends(session)
    for found in survey.breaks[:1]:
        facts = {"chain": str(found.chain), "position": str(found.position), "broken": str(survey.broken)}
        yield Finding("audit", "wrong", "DOCTOR_AUDIT_BROKEN", facts)


def _backup(installation: Installation) -> Iterator[Finding]:
    """There is a backup, and not only of long ago. Whether it can be read is for whoever keeps the recovery key."""
    with installation.database.read() as session:
        made = [each.time for each in list_acts(session, subject_id=SUBJECT[1]) if each.action == "backup.create"]
    if not made:
        yield Finding("backup", "note", "DOCTOR_BACKUP_NONE")
    elif installation.clock.now() - made[-1] > OLD_BACKUP:
        yield Finding("backup", "note", "DOCTOR_BACKUP_OLD", {"time": for_people(made[-1])})


def _stamps(installation: Installation) -> Iterator[Finding]:
    """Each outside time-stamping authority gives a token that holds; asked for one over random octets."""
    for url, server in installation.outside_timestampers.items():
        try:
            server.timestamp(secrets.token_bytes(32))
        except SignerError as error:
            yield Finding("stamps", "wrong", "DOCTOR_STAMP_FAILED", {"server": url, "error": error.code})


_CHECKS: dict[str, Callable[[Installation], Iterator[Finding]]] = {
    "kind": _kind,
    "home": _home,
    "database": _database,
    "keys": _keys,
    "credentials": _credentials,
    "trust": _trust,
    "services": _services,
    "stamps": _stamps,
    "crl": _crl,
    "register": _register,
    "images": _images,
    "fonts": _fonts,
    "judge": _judge,
    "audit": _audit,
    "backup": _backup,
}
