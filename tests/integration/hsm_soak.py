"""The soak of the key store, a process of its own: MODULE LABEL PIN_FILE THREADS SIGNATURES. Prints counts as JSON.

A module that was initialised without locking crashes, hangs or answers garbage here; a crash is the exit code's to tell.
"""

import json
import sys
import threading
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from hsm.pkcs11_store import Pkcs11Store
from hsm.spec import KeySpec, Purpose
from tests.signable import attributes

SHA256 = hashes.SHA256()
PSS = padding.PSS(padding.MGF1(SHA256), padding.PSS.DIGEST_LENGTH)


def soak(store: Pkcs11Store, threads: int, signatures: int) -> dict[str, int]:
    p256 = store.generate(KeySpec.P_256, "soak", Purpose.DOCUMENT)
    rsa = store.generate(KeySpec.RSA_2048, "soak", Purpose.DOCUMENT)
    p256_key, rsa_key = store.get(p256.public_key_der), store.get(rsa.public_key_der)
    p256_public, rsa_public = p256.public_key(), rsa.public_key()
    counts = [{"p-256": 0, "rsa-2048": 0} for _ in range(threads)]
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        start.wait()
        for turn in range(signatures):
            message = attributes(f"{number}:{turn}")
            # Verified here once more, with another object than the store's own check uses.
            if turn % 20 == 0:
                scheme = PSS if turn % 40 else padding.PKCS1v15()
                rsa_public.verify(rsa_key.sign(message, scheme, SHA256), message, scheme, SHA256)
                counts[number]["rsa-2048"] += 1
            else:
                p256_public.verify(p256_key.sign(message, ec.ECDSA(SHA256)), message, ec.ECDSA(SHA256))
                counts[number]["p-256"] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {kind: sum(count[kind] for count in counts) for kind in ("p-256", "rsa-2048")}


def main() -> None:
    module, label, pin_file, threads, signatures = sys.argv[1:]
    store = Pkcs11Store(Path(module), label, Path(pin_file))
    counts = soak(store, int(threads), int(signatures))
    status = store.status()
    store.close()
    print(json.dumps({**counts, "state": status.state, "sessions": status.sessions_open}))


if __name__ == "__main__":
    main()
