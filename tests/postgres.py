"""PostgreSQL for tests: a throw-away cluster a test process, in which each test may have databases of its own.

The cluster lives in memory where the machine has room for that, listens on a Unix socket in a folder nobody else may enter,
and dies with the test process, however that ends. `ANTIN_TEST_DATABASE=postgresql` makes every world and home of the tests
live in it instead of in an SQLite file.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL

from api.migrations.runner import upgrade
from certs.db import Database

_USER = "antin"
# Debian keeps the server's programs out of the path, a folder a version.
_DEBIAN = Path("/usr/lib/postgresql")
# A commit need not survive the loss of power here, and nothing is worth a background job.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "listen_addresses": "",
    "unix_socket_permissions": "0777",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "max_wal_size": "2GB",
    "dynamic_shared_memory_type": "mmap",  # in the folder, so that nothing is left behind
    "log_min_messages": "fatal",
}
# As an operator has them: for measuring what a commit costs.
_DURABLE = {**_SETTINGS, "fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "128MB"}
_TEMPLATE = "migrated"
# Everybody but `locked_out` comes in without a password: hashing it would cost each command 10 ms.
_WHO_MAY = "local all locked_out scram-sha-256\nlocal all all trust\n"


def wanted() -> bool:
    """Whether the tests run on PostgreSQL this time."""
    return os.environ.get("ANTIN_TEST_DATABASE") == "postgresql"


# For a test about the file that SQLite keeps.
sqlite_only = pytest.mark.skipif(wanted(), reason="about SQLite's file, and the tests run on PostgreSQL")


def plain_environment() -> dict[str, str]:
    """This process's environment without the tests' own choice, which is no setting of the product."""
    return {name: value for name, value in os.environ.items() if name != "ANTIN_TEST_DATABASE"}


def setting(url: URL) -> dict[str, str]:
    """What makes a command use a database."""
    return {"ANTIN_DATABASE__URL": url.render_as_string(hide_password=False)}


def discard(database: Database) -> None:
    """A test has no more use for this database."""
    database.close()
    if database.url.get_backend_name() == "postgresql":
        cluster().drop(database.url)


@dataclass
class Cluster:
    """One running server. `url(name)` is what ANTIN_DATABASE__URL takes."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    settings: dict[str, str] = field(default_factory=lambda: _SETTINGS)
    names: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, name: str, user: str = _USER, password: str | None = None, **query: str) -> URL:
        place = {"host": str(self.folder), "port": str(self.port), **query}
        return URL.create("postgresql+psycopg", user, password, database=name, query=place)

    def new(self, template: str = "template0") -> URL:
        """A fresh database, empty or a copy of another, to which nobody may be connected."""
        name = f"test_{next(self.names)}"
        self.say(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def migrated(self) -> URL:
        """A fresh database with this release's schema and no row."""
        if self.answer("SELECT count(*) FROM pg_database WHERE datname = %s", _TEMPLATE) == 0:
            self.say(f'CREATE DATABASE "{_TEMPLATE}" TEMPLATE template0')
            database = Database(self.url(_TEMPLATE))
            upgrade(database.engine)
            database.close()
        return self.new(_TEMPLATE)

    def drop(self, url: URL) -> None:
        """Away with a database, whoever is connected."""
        self.say(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')

    def say(self, statement: str) -> None:
        """One statement as the superuser."""
        with self.connect("postgres") as connection:
            connection.execute(statement)  # type: ignore[arg-type]  # statements of ours

    def answer(self, query: str, *values: object) -> object:
        """The first value that a query of the superuser gives."""
        with self.connect("postgres") as connection:
            row = connection.execute(query, values).fetchone()  # type: ignore[arg-type]  # queries of ours
        assert row is not None
        return row[0]

    def connect(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host=str(self.folder), port=self.port, user=_USER, dbname=name, autocommit=True)

    def break_off(self, url: URL) -> int:
        """End every connection to a database from the server's side, and wait until they are; how many there were."""
        ended = self.answer(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = %s", url.database
        )
        assert isinstance(ended, int)
        return ended

    def start(self) -> None:
        self.process = _start(self.folder, self.port, self.settings)

    def stop(self) -> None:
        """As by a power cut: at once, and recovery at the next start."""
        self.process.send_signal(_IMMEDIATE)
        self.process.wait(timeout=30)


_IMMEDIATE = 3  # SIGQUIT


def programs() -> Path | None:
    """The folder of the newest server's programs, if there is one."""
    found = sorted(
        _DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]) if path.parts[-3].isdigit() else 0
    )
    if found:
        return found[-1].parent
    other = shutil.which("initdb")
    return Path(other).resolve().parent if other else None


def cluster() -> Cluster:
    """This process's cluster, started at the first use; skips the test where PostgreSQL is not installed."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    return _cluster()


@functools.cache
def _cluster() -> Cluster:
    return _found(_SETTINGS, _roomy())


@functools.cache
def durable_cluster() -> Cluster | None:
    """A cluster of this process's own on a real disk, whose commits survive the loss of power; None without PostgreSQL."""
    return _found(_DURABLE, None) if programs() is not None else None


def _found(settings: dict[str, str], place: str | None) -> Cluster:
    bin_folder = programs()
    assert bin_folder is not None
    folder = Path(tempfile.mkdtemp(prefix="antin-pg-", dir=place))
    owner = _owner()
    if owner is not None:
        # The group is root's, for tests of a root who has given up the right to enter what is not his.
        os.chown(folder, owner.pw_uid, 0)
        folder.chmod(0o750)
    data = folder / "data"
    subprocess.run(
        [
            *_as_owner(), bin_folder / "initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
            "--no-sync", "--no-instructions",
        ],
        check=True, stdout=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    (data / "pg_hba.conf").write_text(_WHO_MAY)
    # A socket's name is its port; the folder is ours alone, so the number need only be legal.
    port = 1024 + secrets.randbelow(60000)
    made = Cluster(folder, port, _start(folder, port, settings), settings)
    atexit.register(_end, made)
    return made


def _start(folder: Path, port: int, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    place = {"unix_socket_directories": str(folder), "port": str(port)}
    options = [f"-c{name}={value}" for name, value in (settings | place).items()]
    bin_folder = programs()
    assert bin_folder is not None
    log = (folder / "log").open("ab")
    # setpriv's pdeathsig: the kernel stops the server when this process dies, even by SIGKILL.
    process = subprocess.Popen(
        [*_as_owner(), bin_folder / "postgres", "-D", folder / "data", *options], stdout=log, stderr=log, cwd=folder
    )
    log.close()
    patience = time.monotonic() + 30
    while subprocess.run([bin_folder / "pg_isready", "-q", "-h", folder, "-p", str(port)], check=False).returncode:
        if process.poll() is not None or time.monotonic() > patience:
            pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        time.sleep(0.05)
    return process


def _end(made: Cluster) -> None:
    if made.process.poll() is None:
        made.stop()
    shutil.rmtree(made.folder, ignore_errors=True)


def _roomy() -> str | None:
    """Memory, when it has 2 GB to spare; else where temporary files are."""
    shm = Path("/dev/shm")
    try:
        free = shutil.disk_usage(shm).free
    except OSError:
        return None
    return str(shm) if free > 2 * 1024**3 and os.access(shm, os.W_OK) else None


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as when we are root, which it refuses to be."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _as_owner() -> list[str]:
    command = ["setpriv", "--pdeathsig", "QUIT"]
    owner = _owner()
    if owner is not None:
        command += [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    return command
