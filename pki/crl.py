"""Certificate revocation lists: one scope from the entries to the archive, in the order that survives a death at any step.

What is due stands in crl_due.py, how a list is made in crl_file.py, where it is kept in crl_archive.py. Publishing is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from certs.errors import LintFailed
from certs.listed import changed_lines, listed_lines
from certs.listed_octets import listed_octets
from certs.template import delta_url, key_identifier_of
from hsm import der
from hsm.spec import PublicKey, spec_of
from pki import audit, crl_archive
from pki.audit import Actor
from pki.authorities import AuthorityRecord, get_authority, next_crl_number, set_crl_partitions
from pki.crl_archive import StoredCrl
from pki.crl_due import LIFETIME, ROOT_LIFETIME, CrlPolicy, Due, list_due
from pki.crl_entries import FULL, EntryStream, Extent, restore_entries
from pki.crl_file import CrlFile, Heading, build_tbs
from pki.crl_rules import EXPIRED_CERTS_ON_CRL, Wanted, find_problems
from pki.errors import CrlMismatch, CrlNotFound, CrlRefused
from pki.issuance import TwinKeys
from pki.issuer import Issuer, crl_url
from pki.roles import Permission, require
from pki.schemes import scheme_for, sign_message

__all__ = ["LIFETIME", "ROOT_LIFETIME", "CrlDeps", "CrlPolicy", "CrlRecord", "crl_due", "publish_due", "sign_crl"]

# A linter takes 0.3 ms and 10 kB an entry: it sees the first ones, the rest is compared with the inventory.
_LINTED_ENTRIES = 100


@dataclass(frozen=True)
class CrlDeps:
    """What CRLs need besides the issuer. `spool` is the folder for lists in the making; None: the system's own.

    `lint` judges the twin of a list and raises LintFailed, or LintUnavailable when it cannot; None: our own rules alone.
    """

    database: Database
    clock: Clock
    policy: CrlPolicy = CrlPolicy()  # noqa: RUF009  frozen
    spool: Path | None = None
    lint: Callable[[bytes], None] | None = None
    twins: TwinKeys = field(default_factory=TwinKeys)


@dataclass(frozen=True)
class CrlRecord:
    """One complete CRL with its octets."""

    authority: str
    number: int
    this_update: datetime
    next_update: datetime
    der: bytes
    sha256: str


@dataclass(frozen=True)
class Issued:
    """What one number was given to: a complete list, a delta, or both."""

    authority: str
    shard: int
    number: int
    complete: StoredCrl | None
    delta: StoredCrl | None


def sign_crl(issuer: Issuer, actor: Actor, deps: CrlDeps, shard: int = FULL) -> CrlRecord:
    """Sign the complete list of a scope, due or not, and give it back with its octets."""
    require(actor, Permission.SIGN_CRL)
    with deps.database.alone(_deed(issuer.name)):
        issued = _issue(issuer, Due(issuer.name, shard, complete=True), actor, deps)
    with deps.database.read() as session:
        return get_crl(session, issuer.name, issued.number)


def publish_due(
    issuer: Issuer, actor: Actor, deps: CrlDeps, *, hurry: bool = False, everything: bool = False
) -> list[Issued]:
    """Issue what is due in the scopes of an authority, or all of it. One builder at a time: who comes second finds nothing due."""
    require(actor, Permission.SIGN_CRL)
    with deps.database.alone(_deed(issuer.name)):
        with deps.database.read() as session:
            authority = get_authority(session, issuer.name)
            shards = range(authority.crl_partitions + 1)
            due = (
                [Due(issuer.name, shard, complete=True) for shard in shards]
                if everything
                else list_due(session, authority, deps.policy, deps.clock.now(), hurry=hurry)
            )
        return [_issue(issuer, each, actor, deps) for each in due]


def crl_due(authority: str, deps: CrlDeps, *, hurry: bool = True) -> bool:
    """Whether an authority has anything to issue: a list is missing or half over, or something changed since."""
    with deps.database.read() as session:
        return bool(list_due(session, get_authority(session, authority), deps.policy, deps.clock.now(), hurry=hurry))


def partition_crl(authority: str, count: int, actor: Actor, deps: CrlDeps) -> int:
    """Spread what is issued from now on over partitions; how many there were. Their lists are due at once."""
    require(actor, Permission.CREATE_AUTHORITY)
    with deps.database.write() as session:
        before = set_crl_partitions(session, authority, count)
        if before != count:
            details = {"partitions": str(count), "were": str(before)}
            audit.append(session, deps.clock, actor, "crl.partition", "authority", authority, **details)
    return before


def find_latest_crl(session: Session, authority: str, shard: int = FULL) -> CrlRecord | None:
    """The newest complete list of a scope with its octets, if there is one."""
    found = crl_archive.find_latest(session, authority, shard)
    return _with_octets(session, found) if found is not None else None


def find_latest_dates(session: Session, authority: str) -> tuple[datetime, datetime] | None:
    """this_update and next_update of the newest full list, without the list itself, which may be long."""
    found = crl_archive.find_latest(session, authority)
    return None if found is None else (found.this_update, found.next_update)


def get_crl(session: Session, authority: str, number: int) -> CrlRecord:
    """The complete list of this number; CrlNotFound for one that never was, or was never finished."""
    found = crl_archive.find_by_number(session, authority, number)
    if found is None:
        raise CrlNotFound(f"{authority} has no CRL {number}", authority=authority, number=str(number))
    return _with_octets(session, found)


@dataclass(frozen=True)
class _Plan:
    """One list: what it is to say, and which entries it has."""

    wanted: Wanted
    heading: Heading
    extent: Extent


def _issue(issuer: Issuer, due: Due, actor: Actor, deps: CrlDeps) -> Issued:
    """One number of one scope, from the intent to the archive. The caller is the only builder of this authority."""
    # 1. The number is taken and the intent noted. A death after it costs a number.
    with deps.database.write() as session:
        number = next_crl_number(session, issuer.name)
        row_id = crl_archive.add_intent(session, issuer.name, due.shard, number, deps.clock.now())
    with ExitStack() as files:
        # 2. One state of the database is read, written as to-be-signed octets and compared with the inventory: what would
        #    forget somebody (boulder#6438) is never signed.
        try:
            made, epoch = _write(issuer, due, number, files, deps)
        except CrlMismatch as error:
            if error.facts["problem"] != "entries":
                raise
            # Entries are made of the inventory, which is right: they are made anew once, as after an upgrade.
            _restore(issuer.name, actor, deps)
            made, epoch = _write(issuer, due, number, files, deps)
        # 3. The only line that uses the key.
        for crl, _ in made:
            crl.sign(issuer.key)
        # 4. Read back what will leave: these octets, by this key, with this number and these times.
        for crl, plan in made:
            _check_signed(crl, plan, issuer)
        # 5. Result and audit together.
        complete = next((crl for crl, plan in made if plan.wanted.base is None), None)
        delta, base = next(((crl, plan.wanted.base) for crl, plan in made if plan.wanted.base is not None), (None, 0))
        with deps.database.write() as session:
            crl_archive.finish(session, row_id, epoch, complete, delta, base)
            audit.append(
                session, deps.clock, actor, "crl.sign", "authority", issuer.name,
                **_details(number, due.shard, complete, delta, base),
            )  # fmt: skip
    return Issued(
        issuer.name, due.shard, number,
        None if complete is None else crl_archive.describe(issuer.name, due.shard, epoch, complete),
        None if delta is None else crl_archive.describe(issuer.name, due.shard, epoch, delta, base),
    )  # fmt: skip


def _write(
    issuer: Issuer, due: Due, number: int, files: ExitStack, deps: CrlDeps
) -> tuple[list[tuple[CrlFile, _Plan]], int]:
    """Every list of this number, written, compared in one state of the database and linted, and the epoch of that state."""
    made = []
    with deps.database.read() as session:
        authority = get_authority(session, issuer.name)
        for plan in _plan(session, issuer, authority, due, number, deps):
            crl = files.enter_context(CrlFile(plan.heading, deps.spool))
            entries = EntryStream(session, plan.extent)
            crl.write_tbs(entries)
            if not _is_right(session, crl, plan, authority, entries.cuts):
                raise _mismatch(issuer, number, "entries")
            made.append((crl, plan))
    # Where no transaction waits for it.
    for crl, plan in made:
        _lint(plan, crl.first_entries(_LINTED_ENTRIES), issuer, deps)
    return made, authority.revocation_epoch


def _is_right(
    session: Session, crl: CrlFile, plan: _Plan, authority: AuthorityRecord, cuts: Mapping[int, Sequence[str]]
) -> bool:
    """Whether a written list says what the inventory's own columns say, of everybody and of nobody else."""
    extent, name = plan.extent, authority.name
    shards = [extent.shard] if extent.shard != FULL else [None, *range(1, authority.crl_partitions + 1)]
    if extent.after is None:
        portions = [(shard, cuts.get(shard or FULL, ())) for shard in shards]
        with closing(listed_octets(session, name, portions, extent.kept_from)) as octets:
            if crl.is_exactly(octets):
                return True
        # One entry is not like the others, or is wrong: now each is decoded.
        lines = listed_lines(session, name, shards, extent.kept_from)
    else:
        lines = changed_lines(session, name, shards, extent.after)
    with closing(lines):
        return crl.is_as(lines)


def _plan(
    session: Session, issuer: Issuer, authority: AuthorityRecord, due: Due, number: int, deps: CrlDeps
) -> Iterator[_Plan]:
    """The lists that come under this number, with everything decided but the entries."""
    policy, now = deps.policy, deps.clock.now().replace(microsecond=0)
    last = crl_archive.find_last_issue(session, issuer.name, due.shard)
    # A clock that was set back must not stop a revocation from being published, and a list dated before its predecessor
    # would be taken for an old one: it gets the time of the last.
    this_update = max(now, last[1]) if last is not None else now
    url = crl_url(issuer.public_url, issuer.name if due.shard == FULL else f"{issuer.name}/s/{due.shard}")
    has_deltas = policy.has_deltas(authority.parent)
    common = Wanted(
        issuer=issuer.certificate, number=number, this_update=this_update, next_update=this_update,
        url=None if due.shard == FULL else url, base=None, freshest=None, keeps_expired=False,
    )  # fmt: skip
    if due.complete:
        latest = crl_archive.find_latest(session, issuer.name, due.shard)
        kept_from = None if policy.keep_expired or latest is None else latest.this_update
        lifetime = policy.root_lifetime if issuer.is_root else policy.lifetime
        wanted = replace(
            common, next_update=this_update + lifetime, freshest=delta_url(url) if has_deltas else None,
            keeps_expired=policy.keep_expired,
        )  # fmt: skip
        yield _Plan(wanted, _heading(wanted, issuer), Extent(issuer.name, due.shard, kept_from=kept_from))
    if has_deltas:
        assert policy.delta_lifetime is not None
        base = crl_archive.find_oldest_base(session, issuer.name, due.shard, now)
        # Where nobody can have an older list, the delta says what changed since the list beside it: nothing.
        wanted = replace(
            common, next_update=this_update + policy.delta_lifetime, base=number if base is None else base.number
        )  # fmt: skip
        extent = Extent(issuer.name, due.shard, after=authority.revocation_epoch if base is None else base.epoch)
        yield _Plan(wanted, _heading(wanted, issuer), extent)


def _heading(wanted: Wanted, issuer: Issuer) -> Heading:
    """The fields and extensions of a list in DER. Their order is fixed here."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.AuthorityKeyIdentifier(key_identifier_of(issuer.certificate), None, None), False),  # RFC 5280 5.2.1
        (x509.CRLNumber(wanted.number), False),  # 5.2.3
    ]
    if wanted.base is not None:
        extensions.append((x509.DeltaCRLIndicator(wanted.base), True))  # 5.2.4
    if wanted.url is not None:
        name = [x509.UniformResourceIdentifier(wanted.url)]
        flags = {"only_contains_user_certs": False, "only_contains_ca_certs": False, "indirect_crl": False}
        point = x509.IssuingDistributionPoint(
            full_name=name, relative_name=None, only_some_reasons=None, only_contains_attribute_certs=False, **flags
        )
        extensions.append((point, True))  # 5.2.5
    if wanted.freshest is not None:
        names = [x509.UniformResourceIdentifier(wanted.freshest)]
        extensions.append((x509.FreshestCRL([x509.DistributionPoint(names, None, None, None)]), False))  # 5.2.6
    encoded = [_extension(each.oid.dotted_string, each.public_bytes(), is_critical) for each, is_critical in extensions]
    if wanted.keeps_expired:
        # X.509 9.5.2.8: what ended after this moment is still listed; nothing of ours ended before its issuer began.
        since = der.generalized_time(issuer.certificate.not_valid_before_utc)
        encoded.append(_extension(EXPIRED_CERTS_ON_CRL, since, is_critical=False))
    subject = asn1_x509.Certificate.load(issuer.certificate.public_bytes(Encoding.DER)).subject.dump()
    public_key = issuer.certificate.public_key()
    assert isinstance(public_key, PublicKey)
    return Heading(
        issuer=subject,
        number=wanted.number,
        this_update=wanted.this_update,
        next_update=wanted.next_update,
        extensions=der.sequence(*encoded),
        scheme=scheme_for(public_key),
    )


def _extension(oid: str, value: bytes, is_critical: bool) -> bytes:
    return der.sequence(der.oid(oid), der.tlv(der.BOOLEAN, b"\xff") if is_critical else b"", der.octets(value))


def _lint(plan: _Plan, entries: bytes, issuer: Issuer, deps: CrlDeps) -> None:
    """Judge a twin with the first entries, signed by a throwaway key: a bad list must not exist even briefly."""
    tbs = build_tbs(plan.heading, entries)
    scheme = plan.heading.scheme
    public_key = issuer.certificate.public_key()
    assert isinstance(public_key, PublicKey)
    signature = sign_message(deps.twins.get(spec_of(public_key)), scheme, tbs)
    twin = der.sequence(tbs, scheme.algorithm_identifier(), der.bits(signature))
    problems = "; ".join(find_problems(x509.load_der_x509_crl(twin), plan.wanted))
    if not problems and deps.lint is not None:
        try:
            deps.lint(twin)
        except LintFailed as error:
            problems = error.facts["rules"]
    if problems:
        number = plan.wanted.number
        raise CrlRefused(
            f"CRL {number} of {issuer.name}: {problems}",
            authority=issuer.name, number=str(number), problem=problems[:500],
        )  # fmt: skip


def _check_signed(crl: CrlFile, plan: _Plan, issuer: Issuer) -> None:
    public_key = issuer.certificate.public_key()
    assert isinstance(public_key, PublicKey)
    if not crl.is_signed_by(public_key):
        raise _mismatch(issuer, plan.wanted.number, "signature")
    problem = next(find_problems(crl.frame(), plan.wanted), "")
    if problem:
        raise _mismatch(issuer, plan.wanted.number, problem)


def _restore(authority: str, actor: Actor, deps: CrlDeps) -> None:
    with deps.database.write() as session:
        count = restore_entries(session, authority, deps.clock.now())
        details = {"entries": str(count)}
        audit.append(session, deps.clock, actor, "crl.entries.restore", "authority", authority, **details)


def _details(number: int, shard: int, complete: CrlFile | None, delta: CrlFile | None, base: int) -> dict[str, str]:
    """What the audit trail says of one number."""
    details = {"number": str(number)}
    if shard != FULL:
        details["shard"] = str(shard)
    if complete is not None:
        details |= {"entries": str(complete.count), "sha256": complete.sha256}
    if delta is not None:
        details |= {"delta_base": str(base), "delta_entries": str(delta.count), "delta_sha256": delta.sha256}
    return details


def _with_octets(session: Session, found: StoredCrl) -> CrlRecord:
    octets = b"".join(crl_archive.crl_octets(session, found))
    return CrlRecord(found.authority, found.number, found.this_update, found.next_update, octets, found.sha256)


def _mismatch(issuer: Issuer, number: int, problem: str) -> CrlMismatch:
    return CrlMismatch(
        f"CRL {number} of {issuer.name}: wrong {problem}",
        authority=issuer.name, number=str(number), problem=problem,
    )  # fmt: skip


def _deed(authority: str) -> str:
    """The lock that makes one process the builder of an authority's lists."""
    return f"crl-{authority}"
