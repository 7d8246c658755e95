"""Takes the parts of a backup apart into a folder and an open transaction. Nothing of it counts before the whole file was read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from api.backup.archive import BLOBS, Sink
from api.backup.create import FORMAT, HEADER
from api.backup.dump import count_on, is_empty, load_chunk
from api.backup.token_copy import CHOICE, PREFIX
from api.database_url import database_url
from api.errors import UsageError
from api.home import Home
from api.migrations import HEAD
from api.migrations.runner import is_known, upgrade_within
from api.settings import Settings, load_settings
from certs.db import Database

_DATABASE = "db/"
# A chunk of the database is two mebibytes, or one row that is longer.
_LONGEST_CHUNK = 512 * 1024 * 1024


class Unpacked:
    """What has been taken out so far. `folder/home` becomes the home; `connection` holds the transaction of its rows.

    To be closed; what was not committed by then never happened.
    """

    def __init__(self, folder: Path, name: str, environment: Mapping[str, str]) -> None:
        self.home = Home(folder / "home")
        self.header: dict[str, Any] = {}
        self.settings = Settings()
        self.rows = 0
        self._folder = folder
        self._name = name
        self._environment = environment
        self._connection: Connection | None = None
        self._open = ExitStack()

    @property
    def connection(self) -> Connection:
        """The transaction with the rows; BACKUP_UNREADABLE when the file had none."""
        if self._connection is None:
            raise self._unreadable()
        return self._connection

    def take(self, name: str, length: int) -> Sink:
        """Where the octets of a part go."""
        kind, _, rest = name.partition("/")
        if name == HEADER and not self.header:
            return _Memory(self, length)
        if not self.header:
            raise self._unreadable()
        if name == CHOICE or name.startswith(_DATABASE):
            return _Memory(self, length)
        if name.startswith(PREFIX):
            return _File(self._folder / "tokens" / rest)
        if name.startswith(BLOBS):
            return _File(self.home.blobs / rest[:2] / rest)
        if kind == "home" and not rest.startswith("antin.db"):
            return _File(self.home.root / rest)
        raise self._unreadable()

    def finish(self) -> None:
        """Bring the rows to this release's schema, and complete the folders of a home."""
        if self.header["revision"] != HEAD:
            upgrade_within(self.connection)
        count_on(self.connection)
        home = self.home
        for folder in (home.root, home.pin_file.parent, home.images, home.blobs, home.cache, home.run):
            _make_folder(folder)

    def commit(self) -> None:
        """From here on the rows are there."""
        self.connection.commit()

    def close(self) -> None:
        """Give the database back."""
        self._open.close()

    def _taken(self, content: bytes) -> None:
        """A part that was kept in memory is whole: header, choice of a token's round, or rows."""
        try:
            if not self.header:
                self._read_header(json.loads(content))
            elif content.startswith(b'{"round"'):
                self._choose_token(int(json.loads(content)["round"]))
            else:
                self._begin_rows()
                self.rows += load_chunk(self.connection, content)
        except (ValueError, KeyError, TypeError):
            raise self._unreadable() from None

    def _read_header(self, header: dict[str, Any]) -> None:
        if header["format"] != FORMAT or not is_known(header["revision"]):
            raise UsageError("BACKUP_TOO_NEW", path=self._name, software=str(header.get("software", ""))[:40])
        self.header = header

    def _begin_rows(self) -> None:
        """Before the first rows: their database, which has to be empty, with the schema that they had."""
        if self._connection is not None:
            return
        if not self.home.exists():
            raise self._unreadable()
        self.settings = load_settings(self.home.settings_file, self._environment)
        database = Database(database_url(self.home, self.settings), busy_timeout=self.settings.database.busy_seconds)
        self._open.callback(database.close)
        connection = self._open.enter_context(database.engine.connect())
        connection.begin()
        if not is_empty(connection):
            raise UsageError("RESTORE_DATABASE_NOT_EMPTY", database=str(database.url.database)[-80:])
        if connection.dialect.name == "postgresql":
            # Between two chunks a large blob or a slow disk may come.
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        upgrade_within(connection, self.header["revision"])
        self._connection = connection

    def _choose_token(self, attempt: int) -> None:
        """The round of copying in which the token stood still; the others hold keys too, and go."""
        (self._folder / "tokens" / str(attempt)).rename(self.home.tokens)
        shutil.rmtree(self._folder / "tokens")

    def _unreadable(self) -> UsageError:
        return UsageError("BACKUP_UNREADABLE", path=self._name)


class _Memory:
    """A part that is understood as a whole."""

    def __init__(self, unpacked: Unpacked, length: int) -> None:
        if length > _LONGEST_CHUNK:
            raise unpacked._unreadable()  # noqa: SLF001  of one module
        self._unpacked = unpacked
        self._pieces: list[bytes] = []

    def write(self, octets: bytes, /) -> None:
        self._pieces.append(octets)

    def close(self) -> None:
        self._unpacked._taken(b"".join(self._pieces))  # noqa: SLF001  of one module


class _File:
    """A part that becomes a file, for the owner alone."""

    def __init__(self, path: Path) -> None:
        _make_folder(path.parent)
        self._file = path.open("xb")
        path.chmod(0o600)

    def write(self, octets: bytes, /) -> None:
        self._file.write(octets)

    def close(self) -> None:
        self._file.close()


def _make_folder(folder: Path) -> None:
    """With all above it, each for the owner alone: mkdir asks that only of the last."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700)
