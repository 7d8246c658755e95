"""Makes what the benchmark of CRLs works on: `python -m tests.bench.crl_setup FOLDER COUNT SHARDS`.

An authority whose certificates were revoked behind the product's back, and its key in a file: the process that is measured
loads nothing of all this.
"""

from __future__ import annotations

import random
import sys
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import insert

from certs.tables import CertificateRow
from hsm.memory_store import MemoryStore
from pki.crl import partition_crl, sign_crl
from pki.crl_entries import restore_entries
from pki.issuer import load_issuer
from tests.bench.crl_load import KEY_FILE, NAMES
from tests.fakes.clock import START
from tests.world import ADMIN, PUBLIC_URL, World, build_world

_BATCH = 10_000


def fill(world: World, count: int, shards: int) -> None:
    """Rows as long as real ones, each revoked at a second of its own."""
    source = random.Random(5)
    for start in range(0, count, _BATCH):
        rows = []
        for number in range(start, min(start + _BATCH, count)):
            serial = source.getrandbits(158) | 1 << 158
            revoked_at = START - timedelta(seconds=number)
            rows.append(
                {
                    "serial": f"{serial:040x}", "profile": "officer", "subject": f"CN=Người thứ {number},C=VN",
                    "common_name": f"Người thứ {number}", "organization": "", "search_text": f"nguoi thu {number}",
                    "issuer": "issuing", "state": "revoked", "not_before": START - timedelta(days=300),
                    "not_after": START + timedelta(days=400), "tbs": bytes(700), "der": bytes(800), "sha256": None,
                    "public_key_der": bytes(91), "key_id": f"{number:040x}", "revoked_at": revoked_at,
                    "revocation_reason": NAMES[number % len(NAMES)], "suspect_since": None, "created_at": revoked_at,
                    "crl_shard": serial % shards + 1 if shards else None, "crl_epoch": 0,
                }
            )  # fmt: skip
        with world.database.write() as session:
            session.execute(insert(CertificateRow), rows)
    with world.database.write() as session:
        restore_entries(session, "issuing", START)


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
