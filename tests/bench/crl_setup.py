"""Makes what the benchmark of CRLs works on: `python -m tests.bench.crl_setup FOLDER COUNT SHARDS`.

An authority whose certificates were revoked behind the product's back, and its key in a file: the process that is measured
loads nothing of all this.
"""

from __future__ import annotations

import random
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certs.inventory import State, get_certificate
from hsm.memory_store import MemoryStore
from pki.crl import partition_crl, sign_crl
from pki.crl_entries import restore_entries
from pki.issuer import load_issuer
from tests.bench.crl_load import KEY_FILE, NAMES
from tests.fakes.clock import START
from tests.world import ADMIN, PUBLIC_URL, World, build_world

_BATCH = 50_000


def fill(world: World, count: int, shards: int) -> None:
    """Rows as long as real ones, each revoked at a second of its own. In the order of serials, which a database takes in far sooner."""
    source = random.Random(5)
    serials = sorted(source.getrandbits(158) | 1 << 158 for _ in range(count))
    for start in range(0, count, _BATCH):
        rows = (_row(number, serials[number], shards) for number in range(start, min(start + _BATCH, count)))
        with world.database.engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            # Past SQLAlchemy, which takes five times as long for a million rows of twenty columns.
            driver.executemany(_INSERT, rows)
    with world.database.write() as session:
        restore_entries(session, "issuing", START)
        # What the driver has stored is what the inventory would have.
        for number in (0, count - 1):
            record = get_certificate(session, f"{serials[number]:040x}")
            assert record.revoked_at == START - timedelta(seconds=number)
            assert (record.state, record.not_after) == (State.REVOKED, START + timedelta(days=400))


def _row(number: int, serial: int, shards: int) -> tuple[object, ...]:
    revoked_at = _stored(START - timedelta(seconds=number))
    return (
        f"{serial:040x}", "officer", f"CN=Người thứ {number},C=VN", f"Người thứ {number}", "", f"nguoi thu {number}", "issuing",
        "revoked", _BEGUN, _ENDS, _TBS, _DER, _KEY, f"{number:040x}", revoked_at, NAMES[number % len(NAMES)], revoked_at,
        serial % shards + 1 if shards else None, 0,
    )  # fmt: skip


def _stored(moment: datetime) -> str:
    """As SQLite has it (certs.db.UtcDateTime)."""
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


_COLUMNS = (
    "serial", "profile", "subject", "common_name", "organization", "search_text", "issuer",
    "state", "not_before", "not_after", "tbs", "der", "public_key_der", "key_id", "revoked_at", "revocation_reason", "created_at",
    "crl_shard", "crl_epoch",
)  # fmt: skip
_INSERT = f"INSERT INTO certificates ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_BEGUN, _ENDS = _stored(START - timedelta(days=300)), _stored(START + timedelta(days=400))
_TBS, _DER, _KEY = bytes(700), bytes(800), bytes(91)


def main(folder: Path, count: int, shards: int) -> None:
    world = build_world(folder)
    if shards:
        partition_crl("issuing", shards, ADMIN, world.crl_deps)
    fill(world, count, shards)
    if shards:
        world.issuing = load_issuer(world.database, world.keys, "issuing", PUBLIC_URL)
        # Every list is there, and then one certificate more is revoked.
        for shard in range(shards + 1):
            sign_crl(world.issuing, ADMIN, world.crl_deps, shard)
        world.revoke(world.officer().record.serial, "keyCompromise")
    assert isinstance(world.keys, MemoryStore)
    held = world.keys._held[next(der for der in world.keys._held if world.issuing.key.public_key() == world.keys._held[der].ref.public_key())]  # fmt: skip
    assert held.key is not None
    pem = held.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / KEY_FILE).write_bytes(pem)
    world.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
