"""`antin audit`: is the trail whole, and the trail as a signed file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from api.cli.call import Call
from api.cli.context import parse_time, print_json, read_input, refuse_existing
from api.cli.parser import TypedPath
from api.errors import UsageError
from api.wiring import Installation, open_installation
from api.words import Words, one_line
from certs.clock import for_people, rfc3339
from certs.names import subject_of
from pki.audit_chain import Break, ChainReport
from pki.audit_export import Checkpoint, ExportDeps, check_export, export_lines, read_checkpoint, refuse_revoked_signer
from pki.audit_survey import survey_all
from signer.storage import OutputFile

_MOST_PEM = 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Verify or export."""
    if options.action == "export":
        return _export(options, call)
    if options.export is not None:
        return _verify_file(options, call)
    return _verify(options, call)


def _export(options: argparse.Namespace, call: Call) -> int:
    since, until = (None if each is None else parse_time(each) for each in (options.since, options.until))
    target: TypedPath | None = options.output
    with open_installation(call.environment) as installation:
        deps = ExportDeps(installation.database, installation.clock, installation.services)
        lines = export_lines(deps, since, until)
        if target is None:
            for line in lines:
                call.out.write(line.decode())
            return 0
        refuse_existing(target.path, target.typed, force=options.force)
        counted = _Counted(lines)
        with OutputFile(target.path, expected_size=1, replace=options.force) as file:
            file.publish_parts(counted)
    facts = {"rows": str(counted.count - 1), "path": target.typed}
    call.out.write(call.words.say("AUDIT_EXPORTED", facts) + "\n")
    return 0


class _Counted:
    """Lines that are counted while they go by."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line


def _verify(options: argparse.Namespace, call: Call) -> int:
    with open_installation(call.environment) as installation:
        checkpoint = None
        if options.checkpoint is not None:
            anchors = _named(options.trust) if options.trust else _own_authorities(installation)
            with _readable(options.checkpoint):
                checkpoint = read_checkpoint(options.checkpoint.path, anchors)
        with installation.database.read() as session:
            if checkpoint is not None:
                refuse_revoked_signer(session, checkpoint)
            survey = survey_all(session, checkpoint.ends if checkpoint else None)
    found = _Result(survey.chains, survey.rows, survey.broken, survey.breaks, checkpoint)
    return _say(found, options, call)


def _verify_file(options: argparse.Namespace, call: Call) -> int:
    """Needs no database, and no home either where `--trust` says who stands behind the signature."""
    if options.trust:
        anchors = _named(options.trust)
    else:
        with open_installation(call.environment) as installation:
            anchors = _own_authorities(installation)
    with _readable(options.export):
        checkpoint, chains = check_export(options.export.path, anchors)
    breaks = tuple(found for each in chains for found in each.breaks)
    broken = sum(each.broken for each in chains)
    return _say(_Result(chains, checkpoint.rows, broken, breaks, checkpoint), options, call)


def _own_authorities(installation: Installation) -> list[x509.Certificate]:
    """The published certificates of this home's authorities: files, so that no database is needed."""
    folder = installation.home.ca_certificates
    found = [x509.load_der_x509_certificate(path.read_bytes()) for path in sorted(folder.glob("*.cer"))]
    if not found:
        raise UsageError("AUDIT_TRUST_MISSING", path=str(folder))
    return found


def _named(files: Sequence[TypedPath]) -> list[x509.Certificate]:
    """The certificates of the --trust files, in PEM or a single one in DER."""
    found: list[x509.Certificate] = []
    for file in files:
        content = read_input(file, _MOST_PEM)
        try:
            if b"-----BEGIN" in content:
                found += x509.load_pem_x509_certificates(content)
            else:
                found.append(x509.load_der_x509_certificate(content))
        except ValueError:
            raise UsageError("TRUST_UNREADABLE", path=file.typed) from None
    return found


@contextmanager
def _readable(file: TypedPath) -> Iterator[None]:
    """What open(2) says about an input, in our words."""
    if file.path.is_dir():
        raise UsageError("INPUT_IS_FOLDER", path=file.typed)
    try:
        yield
    except FileNotFoundError:
        raise UsageError("INPUT_MISSING", path=file.typed) from None
    except OSError as error:
        raise UsageError("INPUT_UNREADABLE", path=file.typed, reason=error.strerror or "") from None


@dataclass(frozen=True)
class _Result:
    """What either way of verifying has found."""

    chains: tuple[ChainReport, ...]
    rows: int
    broken: int
    breaks: tuple[Break, ...]
    checkpoint: Checkpoint | None


def _say(found: _Result, options: argparse.Namespace, call: Call) -> int:
    if options.json:
        print_json(call.out, _as_json(found))
        return 1 if found.broken else 0
    for each in found.breaks:
        call.out.write("✗ " + one_line(call.words.say(f"BROKEN_{each.kind.name}", _facts(each))) + "\n")
    if found.broken > len(found.breaks):
        more = {"count": str(found.broken - len(found.breaks))}
        call.out.write(call.words.say("AUDIT_BREAKS_MORE", more) + "\n")
    if found.broken:
        call.out.write(call.words.say("AUDIT_BROKEN", {"broken": str(found.broken)}) + "\n")
        return 1
    call.out.write(_whole(found, call.words))
    if found.checkpoint is not None:
        stamp = found.checkpoint.stamp
        facts = {"time": for_people(stamp.time), "signer": _signer(found.checkpoint)}
        call.out.write(call.words.say("AUDIT_FILE" if options.export else "AUDIT_CHECKPOINT", facts) + "\n")
    return 0


def _whole(found: _Result, words: Words) -> str:
    used = [each for each in found.chains if each.rows]
    lines = [words.say("AUDIT_WHOLE", {"rows": str(found.rows), "chains": str(len(used))})]
    for each in used:
        facts = {"chain": str(each.chain), "rows": str(each.rows), "head": each.head}
        lines.append("  " + words.say("AUDIT_CHAIN", facts))
    return "\n".join(lines) + "\n"


def _facts(found: Break) -> dict[str, str]:
    time = found.time
    with suppress(ValueError):
        time = for_people(datetime.fromisoformat(found.time))
    return {
        "chain": str(found.chain),
        "position": str(found.position),
        "positions": str(found.position)
        if found.until in (None, found.position)
        else f"{found.position}–{found.until}",
        "seq": "" if found.seq is None else str(found.seq),
        "time": time,
        "actor": found.actor,
        "action": found.action,
        "subject": found.subject,
    }


def _signer(checkpoint: Checkpoint) -> str:
    names = subject_of(checkpoint.stamp.signer).get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _as_json(found: _Result) -> dict[str, Any]:
    checkpoint = found.checkpoint
    return {
        "whole": found.broken == 0,
        "rows": found.rows,
        "broken": found.broken,
        "chains": [
            {"chain": each.chain, "rows": each.rows, "head": each.head, "whole": each.whole} for each in found.chains
        ],
        "breaks": [
            {
                "chain": each.chain,
                "kind": each.kind.value,
                "position": each.position,
                "until": each.until,
                "seq": each.seq,
                "time": each.time,
                "actor": each.actor,
                "action": each.action,
                "subject": each.subject,
            }
            for each in found.breaks
        ],
        "checkpoint": None
        if checkpoint is None
        else {"time": rfc3339(checkpoint.stamp.time), "signer": _signer(checkpoint), "rows": checkpoint.rows},
    }
