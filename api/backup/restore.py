"""Restores a backup into an absent or empty home: all of it or nothing, whenever the process dies.

1. Everything is unpacked into a folder beside the home; rows go into one transaction of the database that the settings name.
2. Exports of the audit trail are taken in (`reconcile.py`), with an audit row, in the same transaction.
3. A note is left in the folder, the transaction is committed, the folder is renamed. Who finds such a note finishes that.
4. With the home in its place: are the keys there? New CRLs, and the public files.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyrage
from sqlalchemy import make_url
from sqlalchemy.orm import Session

from api.backup.archive import decrypt_parts
from api.backup.create import SUBJECT
from api.backup.reconcile import Reconciled, reconcile
from api.backup.unpack import Unpacked
from api.database_url import database_url
from api.errors import ComponentError, UsageError
from api.home import Home, locate_home
from api.publishing import publish, write_public_files
from api.settings import load_settings
from api.wiring import Installation, open_installation
from certs.clock import Clock
from certs.db import Database
from certs.errors import CertsError, DatabaseUnavailable
from certs.outages import database_errors
from hsm.errors import HSMError
from pki.audit import Actor, append, list_acts
from pki.errors import PkiError
from pki.roles import Permission, require
from signer.errors import SignerError

_NOTE = "restored.json"


@dataclass(frozen=True)
class RestoreWish:
    """What to restore, with which keys, and the audit exports of the days since."""

    file: Path
    typed: str
    identities: tuple[pyrage.x25519.Identity, ...]
    exports: tuple[Path, ...] = ()


@dataclass
class RestoreReport:
    """What was restored. `keys_missing`: keys that records name and the token has not; `keys_away`: why it could not be asked;
    `unpublished`: why no new lists were made. `finished_only`: an earlier call had done all but the renaming, and no file was read now.
    """

    id: str
    sha256: str
    time: str
    software: str
    database: str
    rows: int
    blobs: int
    token_copied: bool
    keys: list[dict[str, str]]
    reconciled: dict[str, Any]
    keys_missing: list[dict[str, str]] = field(default_factory=list)
    keys_away: str | None = None
    unpublished: str | None = None
    finished_only: bool = False


def restore_backup(wish: RestoreWish, environment: Mapping[str, str], actor: Actor, clock: Clock) -> RestoreReport:
    """Make the home again. UsageError when there is something already or the file cannot be read; nothing has changed then."""
    require(actor, Permission.BACK_UP)
    home = locate_home(environment)
    _refuse_occupied(home)
    with _workplace(home) as folder:
        report = _finished_before(folder, environment)
        if report is None:
            _clear(folder)
            report = _unpack(wish, folder, environment, actor, clock)
        try:
            (folder / "home").rename(home.root)
        except OSError as error:
            raise ComponentError("RESTORE_NOT_RENAMED", path=str(home.root), reason=error.strerror or "") from error
        _sync(home.root.parent)
        shutil.rmtree(folder)
    with open_installation(environment, clock) as installation:
        _come_back(installation, report, actor)
    return report


def _refuse_occupied(home: Home) -> None:
    if home.root.is_mount():
        # What lies beside it is on another file system, from which nothing can be renamed; better said now than at the end.
        raise ComponentError("RESTORE_NOT_RENAMED", path=str(home.root), reason=os.strerror(errno.EXDEV))
    if home.root.is_dir() and not any(home.root.iterdir()):
        return
    if home.root.exists() or home.root.is_symlink():
        raise UsageError("RESTORE_HOME_NOT_EMPTY", home=str(home.root))


@contextmanager
def _workplace(home: Home) -> Iterator[Path]:
    """A folder beside the home, so that renaming is all that is left to do; one restore at a time."""
    folder = home.root.with_name(f".{home.root.name}.restoring")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ComponentError("RESTORE_RUNS", home=str(home.root)) from None
        try:
            yield folder
        except BaseException:
            # What was committed can be finished by another call; anything else never happened.
            if not (folder / _NOTE).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def _finished_before(folder: Path, environment: Mapping[str, str]) -> RestoreReport | None:
    """The report of a call that died after its rows were committed and before the folder was renamed."""
    note = folder / _NOTE
    if not note.is_file():
        return None
    try:
        report = RestoreReport(**json.loads(note.read_bytes()))
    except (ValueError, TypeError):
        return None
    home = Home(folder / "home")
    settings = load_settings(home.settings_file, environment)
    with closing(Database(database_url(home, settings), busy_timeout=settings.database.busy_seconds)) as database:
        try:
            with database.read() as session:
                acts = list_acts(session, subject_id=SUBJECT[1])
        except DatabaseUnavailable as error:
            if error.facts.get("reason") == "no-schema":
                return None
            raise
    return replace(report, finished_only=True) if any(act.details.get("id") == report.id for act in acts) else None


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _unpack(
    wish: RestoreWish, folder: Path, environment: Mapping[str, str], actor: Actor, clock: Clock
) -> RestoreReport:
    """Steps 1 to 3: unpack, reconcile, note, commit."""
    with closing(Unpacked(folder, wish.typed, environment)) as unpacked, database_errors():
        with _opened(wish) as file:
            hashed = _Hashed(file)
            seen = decrypt_parts(hashed, wish.typed, wish.identities, unpacked.take)  # type: ignore[arg-type]  # it reads
        unpacked.finish()
        header, connection = unpacked.header, unpacked.connection
        with Session(connection, expire_on_commit=False) as session:
            reconciled = reconcile(session, wish.exports, clock)
            report = RestoreReport(
                id=uuid.uuid4().hex,
                sha256=hashed.digest.hexdigest(),
                time=str(header["time"]),
                software=str(header["software"]),
                database=connection.dialect.name,
                rows=unpacked.rows,
                blobs=seen.blobs,
                token_copied=bool(header["token"]["copied"]),
                keys=[dict(each) for each in header["keys"]],
                reconciled=asdict(reconciled),
            )
            append(session, clock, actor, "backup.restore", *SUBJECT, **_details(report, reconciled))
        _settle_database(unpacked)
        _write_note(folder, report)
        unpacked.commit()
    return report


@contextmanager
def _opened(wish: RestoreWish) -> Iterator[BinaryIO]:
    if wish.file.is_dir():
        raise UsageError("INPUT_IS_FOLDER", path=wish.typed)
    try:
        file = wish.file.open("rb")
    except FileNotFoundError:
        raise UsageError("INPUT_MISSING", path=wish.typed) from None
    except OSError as error:
        raise UsageError("INPUT_UNREADABLE", path=wish.typed, reason=error.strerror or "") from None
    with file:
        yield file


class _Hashed:
    """A file that is digested while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        octets = self._file.read(size)
        self.digest.update(octets)
        return octets


def _details(report: RestoreReport, reconciled: Reconciled) -> dict[str, str]:
    return {
        "id": report.id,
        "sha256": report.sha256,
        "backup_time": report.time,
        "known_until": reconciled.known_until or "",
        "acts": str(reconciled.acts),
        "replayed": " ".join(f"{action}={count}" for action, count in reconciled.replayed.items()),
        "lost": str(reconciled.lost_count),
        "unknown": str(reconciled.unknown_count),
        "missing": str(reconciled.missing),
    }


def _settle_database(unpacked: Unpacked) -> None:
    """The environment may have sent the rows to another database than the settings file names: the file says so from now on."""
    file = unpacked.home.settings_file
    url = unpacked.settings.database.url
    known = make_url(url).set(password=None).render_as_string() if url else ""
    if load_settings(file, {}).database.url in {url, known}:
        return
    lines, section = [], ""
    for line in file.read_text("utf-8").splitlines():
        if line.strip().startswith("["):
            section = line.strip()
        if section == "[database]" and line.split("=")[0].strip() == "url":
            continue
        lines.append(line)
        if line.strip() == "[database]" and known:
            lines.append(f"url = {json.dumps(known)}")
    if known and "[database]" not in (line.strip() for line in lines):
        lines += ["", "[database]", f"url = {json.dumps(known)}"]
    file.write_text("\n".join(lines) + "\n", "utf-8")


def _write_note(folder: Path, report: RestoreReport) -> None:
    """Everything is on disk before the note is, and the note before the rows are committed."""
    os.sync()
    with (folder / _NOTE).open("x", encoding="utf-8") as file:
        json.dump(asdict(report), file)
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _come_back(installation: Installation, report: RestoreReport, actor: Actor) -> None:
    """Step 4. What is away now is said, and can be done later: the home is there."""
    try:
        # A key process that is just starting is waited for.
        installation.keys.settled_state()
        present = {ref.key_id.hex() for ref in installation.keys.list_keys()}
        report.keys_missing = _missing(report.keys, present)
    except HSMError as error:
        report.keys_away = error.facts.get("reason") or error.code
    try:
        publish(installation, actor, everything=True)
    except (HSMError, PkiError, SignerError, CertsError) as error:
        report.unpublished = error.code
        write_public_files(installation)


def _missing(keys: Sequence[dict[str, str]], present: set[str]) -> list[dict[str, str]]:
    return [key for key in keys if key["id"] not in present]
