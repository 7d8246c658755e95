"""`antin cert issue --batch`: a list of certificates, a JSON object a line, issued in hundreds; a refused line stops no other.

Run again, it goes on where it ended: a line whose key has its certificate gets that one and no second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.context import acting, print_json, read_input, writable_folder
from api.cli.failures import describe as describe_failure
from api.cli.parser import TypedPath
from api.errors import UsageError
from api.wiring import Installation
from api.words import one_line
from certs.csr import parse_csr
from certs.errors import DatabaseUnavailable
from certs.inventory import CertificateRecord, State, find_by_key, get_certificate
from certs.names import parse_subject
from certs.strict import nearest
from hsm.errors import HSMError
from pki.audit import Actor
from pki.issuance import IssuanceRequest, IssuingDeps
from pki.issuance_batch import issue_many
from pki.registration import register_at_once
from pki.registration_records import RegistrationRecord, Wanted, get_registration
from pki.roles import Permission, require
from signer.storage import OutputFile
from signer.validation.reasons import combined_exit_code

# How many share their commits. More would share little, and a death would leave more to clear up.
CHUNK = 100
_LIST_FILE = 64 * 1024 * 1024
_SMALL_FILE = 1024 * 1024
_PEM_FILE = 16 * 1024
_KEYS: dict[str, type] = {
    "profile": str, "subject": str, "csr": str, "san": list, "days": int, "evidence": str, "registration": int,
}  # fmt: skip
_BAR = 30
_WAITS = 6
Describe = Callable[[CertificateRecord, Installation], dict[str, Any]]


@dataclass(frozen=True)
class _Line:
    """One line of the list: where it stands, what it asks for, and where its certificate goes."""

    number: int
    asked: dict[str, Any]
    target: TypedPath


@dataclass
class _Result:
    line: _Line
    record: CertificateRecord | None = None
    error: Exception | None = None
    # Issued by an earlier run.
    had: bool = False


def issue_batch(options: argparse.Namespace, installation: Installation, call: Call, describe: Describe) -> int:
    """Issue what the list asks for; a line each, or a JSON array."""
    lines = _read_lines(options.batch, options.output)
    actor = acting(call, installation)
    require(actor, Permission.ISSUE)
    writable_folder(options.output.path, options.output.typed)
    issuing = installation.issuing_today(options.authority)
    progress = _Progress(call.err, len(lines))
    results: list[_Result] = []
    stopped: Exception | None = None
    for start in range(0, len(lines), CHUNK):
        progress.show(start)
        chunk = lines[start : start + CHUNK]
        try:
            done = _issue_chunk(chunk, options, installation, issuing, actor)
        except Exception as error:  # noqa: BLE001  what was finished before is said, whatever came then
            stopped = error
            results += [_Result(line, error=error) for line in lines[start:]]
            break
        results += done
        progress.clear()
        if not options.json:
            _say(done, options, call)
    progress.clear()
    if options.json:
        print_json(call.out, [_as_json(each, installation, describe) for each in results])
    elif stopped is not None:
        first = next(each for each in results if each.error is stopped)
        _complain(first, options, call)
    return _exit_code(results)


def _issue_chunk(
    chunk: Sequence[_Line], options: argparse.Namespace, installation: Installation, issuing: IssuingDeps, actor: Actor
) -> list[_Result]:
    results = [_Result(line) for line in chunk]
    asked: list[tuple[_Result, IssuanceRequest, OutputFile]] = []
    with contextlib.ExitStack() as stack:
        for result in results:
            try:
                request = _request(result, options, installation, actor)
                if result.record is not None:
                    _write_again(result, options)
                    continue
                file = stack.enter_context(
                    OutputFile(result.line.target.path, expected_size=_PEM_FILE, replace=options.force)
                )
            except (DatabaseUnavailable, HSMError):
                raise  # what is away, is away for all lines
            except Exception as error:  # noqa: BLE001  one refused line does not stop the others
                result.error = error
            else:
                asked.append((result, request, file))
        issued = issue_many([request for _, request, _ in asked], actor, issuing)
        for (result, _, file), outcome in zip(asked, issued, strict=True):
            if isinstance(outcome, Exception):
                result.error = outcome
                continue
            result.record = outcome
            try:
                file.publish(outcome.certificate().public_bytes(Encoding.PEM))
            except Exception as error:  # noqa: BLE001  the certificate is in the inventory; the next run writes it
                result.error = error
    return results


def _request(result: _Result, options: argparse.Namespace, installation: Installation, actor: Actor) -> IssuanceRequest:
    """What a line asks for; its record where an earlier run has issued it."""
    asked = result.line.asked
    registration: RegistrationRecord | None = None
    if "registration" in asked:
        with installation.database.read() as session:
            registration = get_registration(session, asked["registration"])
        wanted = registration.wanted
    else:
        path = options.batch.path.parent / asked["csr"]
        key = parse_csr(read_input(TypedPath(asked["csr"], path), _SMALL_FILE))
        subject = str(parse_subject(asked["subject"]))
        wanted = Wanted(asked["profile"], subject, tuple(asked.get("san", ())), asked.get("days"), key)
    if wanted.public_key_der is None:
        raise UsageError("BATCH_KEY_IN_TOKEN", id=str(asked["registration"]))
    result.record = _issued_before(wanted, registration, installation)
    result.had = result.record is not None
    number = None if registration is None else registration.id
    if not result.had and "evidence" in asked:
        number = register_at_once(wanted, asked["evidence"], actor, installation.registrations).id
    return IssuanceRequest(
        wanted.profile, parse_subject(wanted.subject), wanted.public_key_der, wanted.san, wanted.days, number
    )


def _issued_before(
    wanted: Wanted, registration: RegistrationRecord | None, installation: Installation
) -> CertificateRecord | None:
    now = installation.clock.now()
    assert wanted.public_key_der is not None
    with installation.database.read() as session:
        if registration is not None:
            serial = registration.certificate_serial
            found = [] if serial is None else [get_certificate(session, serial)]
        else:
            found = find_by_key(session, wanted.public_key_der)
    for record in found:
        same = (record.profile, record.subject) == (wanted.profile, wanted.subject)
        if same and record.der is not None and record.state_at(now) is State.ACTIVE:
            return record
    return None


def _write_again(result: _Result, options: argparse.Namespace) -> None:
    """Write the certificate of an earlier run, unless its file is there."""
    assert result.record is not None
    pem = result.record.certificate().public_bytes(Encoding.PEM)
    path = result.line.target.path
    if path.is_file() and path.read_bytes() == pem:
        return
    with OutputFile(path, expected_size=_PEM_FILE, replace=options.force) as file:
        file.publish(pem)


def _read_lines(source: TypedPath, folder: TypedPath) -> list[_Line]:
    """The lines of a list; refused as a whole when one is unreadable or two would become one file: nothing is issued by half a list."""
    try:
        text = read_input(source, _LIST_FILE).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("BATCH_LINE_WRONG", path=source.typed, line="1", problem="UTF-8") from None
    lines, names = [], set()
    for number, written in enumerate(text.split("\n"), 1):
        if not written.strip():
            continue
        asked = _parse_line(written, source, number)
        name = f"{_stem(asked)}.pem"
        if name in names:
            raise UsageError("OUTPUT_TWICE", path=str(Path(folder.typed) / name))
        names.add(name)
        lines.append(_Line(number, asked, TypedPath(str(Path(folder.typed) / name), folder.path / name)))
    if not lines:
        raise UsageError("BATCH_EMPTY", path=source.typed)
    return lines


def _stem(asked: dict[str, Any]) -> str:
    return f"registration-{asked['registration']}" if "registration" in asked else Path(asked["csr"]).stem


def _parse_line(written: str, source: TypedPath, number: int) -> dict[str, Any]:
    try:
        asked = json.loads(written)
    except (ValueError, RecursionError):
        asked = None
    problem = next(_problems(asked), "")
    if problem:
        raise UsageError("BATCH_LINE_WRONG", path=source.typed, line=str(number), problem=problem)
    assert isinstance(asked, dict)
    return asked


def _problems(asked: object) -> Iterator[str]:
    if not isinstance(asked, dict):
        yield 'not {"profile": …, "subject": …, "csr": …}'
        return
    for key, value in asked.items():
        if key not in _KEYS:
            yield f"{key}? {nearest(key, _KEYS)}"
        elif type(value) is not _KEYS[key] or (
            isinstance(value, list) and not all(isinstance(each, str) for each in value)
        ):
            yield f"{key}: {_KEYS[key].__name__}"
    if "registration" in asked:
        yield from (f"registration, {key}" for key in asked if key != "registration")
    else:
        yield from (f"{key}: –" for key in ("profile", "subject", "csr") if not asked.get(key))


def _say(results: Sequence[_Result], options: argparse.Namespace, call: Call) -> None:
    for each in results:
        if each.error is not None:
            _complain(each, options, call)
        elif each.record is not None:
            facts = {"serial": each.record.serial, "path": each.line.target.typed}
            call.out.write(call.words.say("CERTIFICATE_HAD" if each.had else "CERTIFICATE_ISSUED", facts) + "\n")
    call.out.flush()


def _complain(result: _Result, options: argparse.Namespace, call: Call) -> None:
    assert result.error is not None
    _, code, facts = describe_failure(result.error)
    place = f"{one_line(options.batch.typed)}:{result.line.number}"
    call.err.write(f"antin: {place}: {one_line(call.words.say(code, facts))}\n")


def _as_json(result: _Result, installation: Installation, describe: Describe) -> dict[str, Any]:
    place: dict[str, Any] = {"line": result.line.number, "output": result.line.target.typed}
    if result.error is not None:
        _, code, facts = describe_failure(result.error)
        return place | {"error": code, "facts": facts}
    assert result.record is not None
    return place | {"issued_before": result.had} | describe(result.record, installation)


def _exit_code(results: Sequence[_Result]) -> int:
    codes = {0 if each.error is None else describe_failure(each.error)[0] for each in results}
    # Waiting is neither done nor refused: it is told when nothing worse is.
    return combined_exit_code(codes - {_WAITS}) or (_WAITS if _WAITS in codes else 0)


class _Progress:
    """A bar on a terminal, and nothing elsewhere."""

    def __init__(self, err: TextIO, total: int) -> None:
        self._err = err if err.isatty() and total > CHUNK else None
        self._total = total

    def show(self, done: int) -> None:
        """How many are finished."""
        if self._err is not None:
            full = _BAR * done // self._total
            self._err.write(f"\r[{'#' * full}{'.' * (_BAR - full)}] {done}/{self._total}")
            self._err.flush()

    def clear(self) -> None:
        """Make room for lines."""
        if self._err is not None:
            self._err.write("\r\x1b[K")
            self._err.flush()
