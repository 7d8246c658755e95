"""A process that makes a long CRL for the benchmark, and nothing else: `python -m tests.bench.crl_load FOLDER` after crl_setup.

`python -m tests.bench.crl_load peer COUNT` times the other builder.
"""

from __future__ import annotations

import json
import random
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from certs.db import Database
from hsm.memory_store import InsecureKeyStoreWarning, MemoryStore
from hsm.spec import Purpose
from pki.crl import CrlDeps, publish_due
from pki.issuer import load_issuer
from pki.revocation import REASONS
from pki.roles import Permission, system_part
from tests.fakes.clock import START, FixedClock

KEY_FILE = "issuing.key"
NAMES = ("keyCompromise", "superseded", "cessationOfOperation", "unspecified", "affiliationChanged")


def peer(count: int) -> float:
    """Seconds from the facts in memory to a signed list in DER, with the whole list given to the constructor."""
    source = random.Random(5)
    facts = [
        (source.getrandbits(158) | 1 << 158, START - timedelta(seconds=n), NAMES[n % len(NAMES)]) for n in range(count)
    ]
    key = ec.generate_private_key(ec.SECP256R1())
    begun = time.perf_counter()
    entries = []
    for serial, when, reason in facts:
        entry = x509.RevokedCertificateBuilder(serial, when.replace(tzinfo=None))
        if reason != "unspecified":
            entry = entry.add_extension(x509.CRLReason(REASONS[reason]), critical=False)
        entries.append(entry.build())
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=x509.Name([]),
        last_update=START.replace(tzinfo=None),
        next_update=(START + timedelta(days=7)).replace(tzinfo=None),
        revoked_certificates=entries,
    )
    crl = builder.add_extension(x509.CRLNumber(1), critical=False).sign(key, SHA256())
    assert len(crl.public_bytes(Encoding.DER)) > 30 * count
    return time.perf_counter() - begun


def measure(folder: Path) -> dict[str, float]:
    """Issue what is due: from the rows of the database to the archive in it, everything checked."""
    warnings.simplefilter("ignore", InsecureKeyStoreWarning)
    database, keys = Database(f"sqlite:///{folder / 'antin.db'}"), MemoryStore()
    key = load_pem_private_key((folder / KEY_FILE).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    keys.hold(key, "ca-issuing", Purpose.AUTHORITY)
    issuer = load_issuer(database, keys, "issuing", "http://pki.example")
    deps = CrlDeps(database, FixedClock(), spool=folder)
    begun = time.perf_counter()
    issued = publish_due(issuer, system_part("bench", Permission.SIGN_CRL), deps)
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "memory_mb": round(_peak_memory_mb(), 1), "lists": len(issued)}


def _peak_memory_mb() -> float:
    """Of this program alone: `ru_maxrss` counts what the process that began it held until then (proc(5), VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    first, *rest = sys.argv[1:]
    print(json.dumps({"peer": peer(int(rest[0]))} if first == "peer" else measure(Path(first))))
