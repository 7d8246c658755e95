"""Makes a backup of a running home: one state of its database, blobs, settings and token, in an encrypted file, whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import pyrage
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.backup.archive import BLOBS, Part, encrypt_parts, fits, part_of, sha256_of
from api.backup.dump import dump_tables, revision_of
from api.backup.token_copy import token_parts
from api.errors import ComponentError, UsageError
from api.home import Home
from api.key_uses import key_uses
from api.migrations import is_current
from api.wiring import Installation
from certs.clock import rfc3339
from certs.errors import DatabaseUnavailable
from hsm.spec import key_id_of
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.documents import stored_revisions
from signer.storage import OutputFile

FORMAT = 1
HEADER = "backup.json"
SETTINGS = "home/antin.toml"
# What the audit trail calls the subject of a backup and of a restore.
SUBJECT = ("backup", "backup")
# Derived, of this machine alone, or written by other parts of this module.
# What waits to be signed is not brought back either: it may have been signed since.
_LEFT_OUT = {"cache", "run", "public", "blobs", "uploads", "antin.toml"}
_PIECE = 1024 * 1024
# So many names of what is missing are said; the number is always right.
MOST_NAMES = 20


@dataclass(frozen=True)
class BackupWish:
    """Where a backup goes, and who can open it."""

    target: Path
    recipients: tuple[pyrage.x25519.Recipient, ...]
    replace: bool = False


@dataclass
class BackupReport:
    """What is in a backup, and what is not. `damaged`: blobs of the register that are missing or are not what they were."""

    time: str
    sha256: str = ""
    octets: int = 0
    chunks: int = 0
    blobs: int = 0
    token_copied: bool = False
    pin_elsewhere: bool = False
    keys: list[dict[str, str]] = field(default_factory=list)
    damaged: int = 0
    damaged_names: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def create_backup(installation: Installation, wish: BackupWish, actor: Actor) -> BackupReport:
    """Write the backup file. Its audit row is committed before the file gets its name: there is none without a row."""
    require(actor, Permission.BACK_UP)
    home = installation.home
    if wish.target.resolve().is_relative_to(home.root.resolve()):
        raise UsageError("BACKUP_INSIDE_HOME", path=wish.target.name)
    if not is_current(installation.database.engine):
        raise DatabaseUnavailable("the schema is another release's", reason="no-schema")
    report = BackupReport(rfc3339(installation.clock.now()))
    with OutputFile(wish.target, expected_size=1, replace=wish.replace) as file:

        def write(stream: BinaryIO) -> None:
            out = _Hashed(stream)
            encrypt_parts(_parts(installation, report), wish.recipients, out)  # type: ignore[arg-type]  # it writes and flushes
            report.sha256, report.octets = out.digest.hexdigest(), out.octets
            details = {"sha256": report.sha256, "octets": str(out.octets), "damaged": str(report.damaged)}
            with installation.database.write() as session:
                append(session, installation.clock, actor, "backup.create", *SUBJECT, **details)

        file.publish_by(write)
    return report


class _Hashed:
    """A file that is digested while it is written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.octets = 0

    def write(self, octets: bytes) -> int:
        self.digest.update(octets)
        self.octets += len(octets)
        return self._stream.write(octets)

    def flush(self) -> None:
        self._stream.flush()


def _parts(installation: Installation, report: BackupReport) -> Iterator[Part]:
    """The order matters: what rows speak of (keys, blobs) is made before the rows, so it is read after them."""
    home, settings = installation.home, installation.settings
    report.token_copied = not settings.hsm.module
    report.pin_elsewhere = bool(settings.hsm.pin_file)
    report.keys = [
        {"kind": use.kind, "name": use.name, "id": key_id_of(public_key_der).hex()}
        for public_key_der, use in key_uses(installation.database).items()
    ]
    with installation.database.read() as session:
        _wait_patiently(session)
        yield part_of(HEADER, json.dumps(_header(session, installation, report), indent=1).encode())
        # Settings say where the restored rows go, so they come first.
        yield from _file_part(SETTINGS, home.settings_file)
        for name, chunk in dump_tables(session):
            report.chunks += 1
            yield part_of(f"db/{report.chunks:06d}-{name}.jsonl", chunk)
    if report.token_copied:
        yield from token_parts(home.tokens)
    yield from _home_parts(home, report)
    yield from _blob_parts(home, report)
    _compare_register(installation, report)


def _header(session: Session, installation: Installation, report: BackupReport) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "software": version("antin"),
        "revision": revision_of(session),
        "time": report.time,
        "database": session.get_bind().dialect.name,
        "public_url": installation.settings.http.public_url,
        "token": {"copied": report.token_copied, "label": installation.settings.hsm.token_label},
        "keys": report.keys,
    }


def _wait_patiently(session: Session) -> None:
    """A large table takes its time, and so does whoever reads what is made of it."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _home_parts(home: Home, report: BackupReport) -> Iterator[Part]:
    """Everything else in the home: secrets, pictures, what the operator has put there."""
    left_out = _LEFT_OUT | ({"tokens"} if report.token_copied else set())
    for path in sorted(home.root.iterdir()):
        if path.name in left_out or path.name.startswith("antin.db"):
            continue
        for each in [path] if not path.is_dir() or path.is_symlink() else sorted(path.rglob("*")):
            name = f"home/{each.relative_to(home.root).as_posix()}"
            if each.is_dir() and not each.is_symlink():
                continue
            if each.is_symlink() or not each.is_file() or not fits(name):
                report.left_out.append(name.removeprefix("home/"))
                continue
            yield from _file_part(name, each)


def _file_part(name: str, path: Path) -> Iterator[Part]:
    try:
        file = path.open("rb")
    except OSError:
        raise ComponentError("BACKUP_FILE_CHANGED", path=name) from None
    with file:
        yield Part(name, os.fstat(file.fileno()).st_size, _pieces(file))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _blob_parts(home: Home, report: BackupReport) -> Iterator[Part]:
    """Every blob that is what its name says. Each is read twice, so that a damaged one does not spoil the file."""
    for folder in sorted(home.blobs.iterdir()) if home.blobs.is_dir() else ():
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue  # still being written, so that no row speaks of it
            if sha256_of(path) != path.name:
                _note_damage(report, path.name)
                continue
            report.blobs += 1
            yield from _file_part(f"{BLOBS}{path.name}", path)


def _compare_register(installation: Installation, report: BackupReport) -> None:
    with installation.database.read() as session:
        for sha256 in stored_revisions(session):
            if not installation.blobs.path_of(sha256).is_file():
                _note_damage(report, sha256)


def _note_damage(report: BackupReport, name: str) -> None:
    report.damaged += 1
    if len(report.damaged_names) < MOST_NAMES:
        report.damaged_names.append(name)


def recipients_of(installation: Installation, named: Sequence[str]) -> list[str]:
    """Whoever is named, or else the setting."""
    own = installation.settings.backup.recipient
    return list(named) or ([own] if own else [])
