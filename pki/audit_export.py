"""The audit trail as a file: lines of JSON, the last of them a checkpoint of all chains with a time-stamp token over it.

Each line but the last is a row. The last is `{"checkpoint":{…},"timestamp":"…"}`: the checkpoint says which rows the file has (the
SHA-256 of those lines), where each chain begins and ends in it, and how long each chain was in all; the token is that of our own
time-stamping authority (RFC 3161, DER in base64) over the octets of the checkpoint's object as they stand in the line.

The token is made under a policy of its own, under which no request from outside gets one (`certs.oids`): so it says not only when, but
also that this software made it. `openssl ts -verify` reads it; docs/audit.md shows how.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from cryptography import x509
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from certs.errors import CertificateNotFound
from certs.inventory import get_certificate
from certs.oids import AUDIT_CHECKPOINT_POLICY
from certs.serial import serial_hex
from pki.audit_chain import ChainReport, ChainWalk, Mark
from pki.audit_link import Entry, canonical_json, written_time
from pki.audit_survey import Span, chain_ends, entries_of
from pki.errors import AuditExportUnreadable, AuditExportWrong, TokenWrong
from pki.service_keys import ServiceDesk, ServiceKind
from pki.tsa.request import build_request, parse_request
from pki.tsa.token import TokenTemplate, check_token
from pki.tsa.trust import Stamp, check_stamp

FORM = "antin audit checkpoint 1"
_DIGEST = "sha256"
# A row is a few hundred octets, a checkpoint a few hundred for each chain.
_LONGEST_LINE = 4 * 1024 * 1024
_LAST_LINE = re.compile(rb'\{"checkpoint":(\{.*\}),"timestamp":"([A-Za-z0-9+/]+=*)"\}\n?')
_TEXTS = ("link", "time", "actor", "action", "subject_kind", "subject_id")
_ROW_KEYS = {"chain", "position", "seq", "details", *_TEXTS}


@dataclass(frozen=True)
class Checkpoint:
    """What the last line of an export says, once its token was checked. `ends`: every chain as it was in all."""

    stamp: Stamp
    rows: int
    rows_sha256: str
    spans: dict[int, Span]
    last_links: dict[int, str]
    ends: dict[int, Mark]


@dataclass(frozen=True)
class ExportDeps:
    """What exporting needs; the key is the time-stamping authority's."""

    database: Database
    clock: Clock
    services: ServiceDesk


def export_lines(deps: ExportDeps, since: datetime | None = None, until: datetime | None = None) -> Iterator[bytes]:
    """The lines of an export: rows as one state of the database has them, then the checkpoint. The key is used after the last row."""
    digest, rows = hashlib.sha256(), 0
    last_links: dict[int, str] = {}
    with deps.database.read() as session:
        ends = chain_ends(session)
        spans, entries = entries_of(session, since, until)
        for entry in entries:
            line = _row_line(entry)
            digest.update(line)
            rows += 1
            last_links[entry.chain] = _text(entry.link)
            yield line
    checkpoint = {
        "form": FORM,
        "time": written_time(deps.clock.now()),
        "from": None if since is None else written_time(since),
        "to": None if until is None else written_time(until),
        "rows": rows,
        "rows_sha256": digest.hexdigest(),
        "chains": [
            _chain_of(chain, ends.get(chain), spans.get(chain), last_links) for chain in sorted({*ends, *spans})
        ],
    }
    octets = canonical_json(checkpoint).encode()
    token = base64.b64encode(_sign(octets, deps))
    yield b'{"checkpoint":%b,"timestamp":"%b"}\n' % (octets, token)


def read_checkpoint(file: Path, anchors: Sequence[x509.Certificate]) -> Checkpoint:
    """The signed checkpoint in the last line of a file; AuditExportWrong unless an anchor stands behind its token."""
    with file.open("rb") as stream:
        return _checkpoint_of(_last_line(stream), anchors)


def refuse_revoked_signer(session: Session, checkpoint: Checkpoint) -> None:
    """AuditExportWrong when the inventory says that the signer's certificate was not in force any more when it signed."""
    try:
        record = get_certificate(session, serial_hex(checkpoint.stamp.signer.serial_number))
    except CertificateNotFound:
        # Of an authority that `anchors` vouched for, and not one of ours.
        return
    since = record.suspect_since or record.revoked_at
    if since is not None and since <= checkpoint.stamp.time:
        raise AuditExportWrong("revoked", part="checkpoint", problem=f"time-stamp: {record.serial} was revoked")


def check_export(file: Path, anchors: Sequence[x509.Certificate]) -> tuple[Checkpoint, tuple[ChainReport, ...]]:
    """Check a file by itself: the token, the octets of the rows, and each chain from its first row in the file to its last.

    AuditExportWrong when the checkpoint is not ours; what is wrong with the rows is in the reports.
    """
    with file.open("rb") as stream:
        last = _last_line(stream)
        checkpoint = _checkpoint_of(last, anchors)
        stream.seek(0)
        walks = {chain: ChainWalk(chain, Mark(span.first - 1, span.before)) for chain, span in checkpoint.spans.items()}
        digest = hashlib.sha256()
        for number, line in enumerate(_lines_before(stream, len(last)), start=1):
            digest.update(line)
            entry = _entry_of(line, number)
            if entry.chain not in walks:
                raise AuditExportWrong(
                    f"line {number}", part="rows", problem=f"line {number} belongs to no chain of the file"
                )
            walks[entry.chain].take(entry)
    reports = tuple(
        walk.report(Mark(checkpoint.spans[chain].last, checkpoint.last_links[chain])) for chain, walk in walks.items()
    )
    if digest.hexdigest() != checkpoint.rows_sha256 and all(each.whole for each in reports):
        # Every act is there as it was; another order of lines or another way to write the same.
        raise AuditExportWrong("the lines are not those that were signed", part="rows", problem="lines were rearranged")
    return checkpoint, reports


def exported_acts(file: Path, checkpoint: Checkpoint) -> Iterator[dict[str, Any]]:
    """The rows of a file that `check_export` has found whole, as they stand in it."""
    with file.open("rb") as stream:
        for _ in range(checkpoint.rows):
            yield json.loads(stream.readline(_LONGEST_LINE))


def _row_line(entry: Entry) -> bytes:
    try:
        details = json.loads(entry.details)
    except (ValueError, RecursionError):
        # Somebody has made it so; the file shows it, and its check names the row.
        details = _text(entry.details)
    row = {
        "chain": entry.chain,
        "position": entry.position,
        "seq": entry.seq,
        "time": _text(entry.time),
        "actor": _text(entry.actor),
        "action": _text(entry.action),
        "subject_kind": _text(entry.subject_kind),
        "subject_id": _text(entry.subject_id),
        "details": details,
        "link": _text(entry.link),
    }
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        # Half a surrogate pair, which only an escape can name.
        return json.dumps(row).encode() + b"\n"


def _entry_of(line: bytes, number: int) -> Entry:
    try:
        row = json.loads(line)
        if set(row) != _ROW_KEYS:
            raise ValueError("other names")  # noqa: TRY301  one way out
        place = {name: row[name] for name in ("chain", "position", "seq")}
        if not all(type(each) is int for each in place.values()):
            raise TypeError("no numbers")  # noqa: TRY301  one way out
        facts = {name: row[name].encode() for name in _TEXTS}
        return Entry(**place, **facts, details=canonical_json(row["details"]).encode())
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise AuditExportWrong(f"line {number}", part="rows", problem=f"line {number} is no row") from error


def _chain_of(chain: int, end: Mark | None, span: Span | None, last_links: dict[int, str]) -> dict[str, Any]:
    known = {"chain": chain, "length": end.position if end else 0, "head": end.link if end else ""}
    if span is None:
        return known
    return known | {"first": span.first, "before": span.before, "last": span.last, "link": last_links.get(chain, "")}


def _sign(octets: bytes, deps: ExportDeps) -> bytes:
    """A token by the newest key of our time-stamping authority, checked before it leaves."""
    service = deps.services.usable(ServiceKind.TSA)[-1]
    hashed = hashlib.sha256(octets).digest()
    request = parse_request(build_request(_DIGEST, hashed))
    token = TokenTemplate(service, AUDIT_CHECKPOINT_POLICY, accuracy=1).sign(request, deps.clock.now())
    check_token(token, _DIGEST, hashed, service, AUDIT_CHECKPOINT_POLICY)
    return token


def _checkpoint_of(line: bytes, anchors: Sequence[x509.Certificate]) -> Checkpoint:
    found = _LAST_LINE.fullmatch(line)
    if found is None:
        raise AuditExportUnreadable("no checkpoint", problem="its last line is no checkpoint")
    octets, token = found.groups()
    try:
        stamp = check_stamp(
            base64.b64decode(token, validate=True), _DIGEST, hashlib.sha256(octets).digest(), AUDIT_CHECKPOINT_POLICY, anchors
        )  # fmt: skip
    except binascii.Error as error:
        raise AuditExportUnreadable("no token", problem="its time-stamp is no base64") from error
    except TokenWrong as error:
        raise AuditExportWrong(str(error), part="checkpoint", problem=f"time-stamp: {error.facts['part']}") from error
    # What was signed was written by this module: from here on anything else is an error in it, or of a later form.
    said = json.loads(octets)
    if said.get("form") != FORM:
        raise AuditExportUnreadable("another form", problem=f"it has the form {said.get('form')}")
    chains = said["chains"]
    inside = [each for each in chains if "first" in each]
    return Checkpoint(
        stamp=stamp,
        rows=said["rows"],
        rows_sha256=said["rows_sha256"],
        spans={each["chain"]: Span(each["before"], each["first"], each["last"]) for each in inside},
        last_links={each["chain"]: each["link"] for each in inside},
        ends={each["chain"]: Mark(each["length"], each["head"]) for each in chains},
    )


def _last_line(stream: BinaryIO) -> bytes:
    end = stream.seek(0, 2)
    start = max(0, end - _LONGEST_LINE)
    stream.seek(start)
    tail = stream.read(_LONGEST_LINE)
    cut = tail.rstrip(b"\n").rfind(b"\n") + 1
    if cut == 0 and start > 0:
        raise AuditExportUnreadable("a line without end", problem="its last line is too long")
    return tail[cut:]


def _lines_before(stream: BinaryIO, last_octets: int) -> Iterator[bytes]:
    """The lines of a file but for its last."""
    left = stream.seek(0, 2) - last_octets
    stream.seek(0)
    while left > 0:
        line = stream.readline(_LONGEST_LINE)
        left -= len(line)
        yield line


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
