"""What every command shares: who acts, how results are printed, how times and names are read from the command line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import stat
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy.orm import Session

from api.auth.tokens import TokenDesk
from api.cli.call import Call
from api.cli.parser import TypedPath
from api.errors import ActorRefused, RequestError, UsageError
from api.wiring import Installation
from certs.errors import CertificateNotFound
from certs.inventory import CertificateRecord, get_certificate
from certs.serial import parse_serial
from pki.roles import Actor, owner
from signer.credentials import certificate_serial_of, get_credential
from signer.errors import Unavailable
from signer.long_file import LONG
from signer.octets import Octets
from signer.password import NO_PASSWORD, Password, parse_password
from signer.storage import BlobStore

_TOKEN_FILE = 1024 * 1024
_PASSWORD_FILE = 4096


def owner_acting() -> Actor:
    """The operating-system user: the kernel's word, never LOGNAME or USER, which anybody may set."""
    try:
        return owner(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return owner(str(os.getuid()))


def acting(call: Call, installation: Installation) -> Actor:
    """The actor of a command: who owns the home, or the person of `--actor`, who proves it by a token out of a file."""
    name, file = call.actor.name, call.actor.token_file
    if name is None:
        if file is not None:
            # Whoever names a token does not mean to act as somebody else.
            raise UsageError("ACTOR_NAME_MISSING", path=file.typed)
        return owner_acting()
    if file is None:
        raise UsageError("ACTOR_TOKEN_FILE_MISSING", name=name[:64])
    desk = TokenDesk(installation.database, installation.clock)
    presented = read_input(file, _TOKEN_FILE).decode("ascii", "replace").strip()
    try:
        token = desk.authenticate(presented)
    except RequestError as error:
        code = "ACTOR_TOKEN_WRONG"
        if error.code == "TOKEN_EXPIRED":
            code = "ACTOR_TOKEN_EXPIRED"
        elif error.code == "TOKEN_REVOKED":
            code = "ACTOR_TOKEN_REVOKED"
        elif error.code == "TOKEN_PERSON_DISABLED":
            code = "PERSON_DISABLED"
        raise ActorRefused(code, person=name[:64], path=file.typed) from None
    if token.person != name:
        raise ActorRefused("ACTOR_TOKEN_OF_ANOTHER", person=name[:64], path=file.typed)
    desk.write_uses()
    return token.actor


def print_json(out: TextIO, value: Any) -> None:
    """JSON for programs: the same in every language, letters as they are."""
    out.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_table(out: TextIO, rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the first row is the heading."""
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        out.write("  ".join(cells).rstrip() + "\n")


def _width(text: str) -> int:
    """Columns of a terminal: Korean letters take two, combining marks none (Unicode annex 11)."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def parse_time(text: str) -> datetime:
    """RFC 3339 with a zone; UsageError TIME_MALFORMED otherwise."""
    moment = None
    # OverflowError: the year 1 east of Greenwich lies before the calendar begins.
    with contextlib.suppress(ValueError, OverflowError):
        typed = datetime.fromisoformat(text)
        moment = typed.astimezone(UTC) if typed.tzinfo else None
    if moment is None:
        raise UsageError("TIME_MALFORMED", text=text)
    return moment


def read_input(file: TypedPath, limit: int) -> bytes:
    """The bytes of an input file; UsageError that says why it cannot be read, and never more than `limit` octets."""
    try:
        if file.path.is_dir():
            raise UsageError("INPUT_IS_FOLDER", path=file.typed)
        with file.path.open("rb") as stream:
            content = stream.read(limit + 1)
    except FileNotFoundError:
        raise UsageError("INPUT_MISSING", path=file.typed) from None
    except OSError as error:
        raise UsageError("INPUT_UNREADABLE", path=file.typed, reason=error.strerror or "") from None
    if len(content) > limit:
        raise _over_limit(file, limit)
    return content


def take_input(file: TypedPath, limit: int, blobs: BlobStore, room: int) -> Octets:
    """What is to be signed or raised: in memory, or a copy of our own on disk where it is long. UsageError as for `read_input`.

    `room`: what is going to be appended at the most.
    """
    try:
        # What is no file never keeps anybody waiting here: it is read like all that is short.
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return read_input(file, limit)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size <= LONG:
            return read_input(file, limit)
        if status.st_size > limit:
            raise _over_limit(file, limit)
        return blobs.take_in(descriptor, status.st_size, room=room)
    finally:
        os.close(descriptor)


def _over_limit(file: TypedPath, limit: int) -> UsageError:
    return UsageError("INPUT_OVER_LIMIT", path=file.typed, limit_mb=str(limit // (1024 * 1024)))


def read_password(file: TypedPath | None) -> Password:
    """The password of `--password-file`; none without it."""
    return NO_PASSWORD if file is None else parse_password(read_input(file, _PASSWORD_FILE))


def find_record(session: Session, which: str) -> CertificateRecord:
    """The certificate of a serial or of a credential's name."""
    serial = certificate_serial_of(session, which)
    if serial is not None and get_credential(session, which).outside_sha256 is not None:
        # Whoever issued it revokes and suspends it.
        raise UsageError("CREDENTIAL_IS_OFFICIAL", name=which)
    if serial is None:
        try:
            serial = parse_serial(which)
            return get_certificate(session, serial)
        except CertificateNotFound:
            raise UsageError("CERTIFICATE_UNKNOWN", which=which[:80]) from None
    return get_certificate(session, serial)


def refuse_existing(path: Path, typed: str, *, force: bool) -> None:
    """UsageError when an output is there already and may not be replaced, or could stand nowhere: before any work is done for it."""
    try:
        if path.is_dir():
            raise UsageError("OUTPUT_IS_FOLDER", path=typed)
        if not path.parent.is_dir():
            raise UsageError("OUTPUT_NOWHERE", path=typed, reason=os.strerror(errno.ENOENT))
        if path.exists() and not force:
            raise UsageError("OUTPUT_EXISTS", path=typed)
    except OSError as error:  # a name too long to exist
        raise UsageError("OUTPUT_NOWHERE", path=typed, reason=error.strerror or "") from error


def writable_folder(folder: Path, typed: str) -> None:
    """UsageError when a file stands in the folder's place or on the way to it; Unavailable when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP):
            raise UsageError("OUTPUT_NOWHERE", path=typed, reason=error.strerror or "") from error
        raise Unavailable("WRITE_FAILED", path=typed, reason=error.strerror or "") from error


def language_of(environment: Mapping[str, str]) -> str:
    """The language people chose."""
    return environment.get("ANTIN_LANG", "en")
