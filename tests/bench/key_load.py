"""A process that signs for the benchmark of keys: through the key process, with python-pkcs11, or both side by side.

`python -m tests.bench.key_load '{…}'`; for each line on standard input, seconds, it signs for so long with so many
threads and answers with its signatures a second.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ecdsa_signature

from api.loading import spare_what_is_there
from hsm.client import ClientStore
from hsm.handles import Scheme
from hsm.module import load_module
from hsm.pkcs11_store import Pkcs11Store
from hsm.spec import KeySpec, key_id_of
from hsm.token_objects import generate_pair
from tests.bench.measure import interleaved
from tests.signable import attributes

SHA256 = hashes.SHA256()
MESSAGE = attributes("bench")


def client(asked: dict[str, Any]) -> Callable[[int], int]:
    """Sign through the key process; the signatures that come are verified."""
    store, der, scheme = ClientStore(Path(asked["run"])), bytes.fromhex(asked["key"]), Scheme(asked["scheme"])
    messages = [MESSAGE] * asked["many"]
    return lambda _: len(store.sign_many(der, messages, scheme, SHA256))


def peer(asked: dict[str, Any]) -> Callable[[int], int]:
    """python-pkcs11: a session a thread, the handle kept, nothing verified. It only signs; with `encodes` it hashes each
    message too and gives ECDSA signatures the form that X.509 and CMS want, as ours have it.
    """
    token = load_module(Path(asked["module"])).find_token(asked["label"])
    token.open(rw=True, user_pin=Path(asked["pin"]).read_text().strip())
    wanted = {Attribute.ID: key_id_of(bytes.fromhex(asked["key"])), Attribute.CLASS: ObjectClass.PRIVATE_KEY}
    keys: list[pkcs11.PrivateKey] = []
    for _ in range(asked["threads"]):
        keys += token.open(rw=True).get_objects(wanted)

    digest = hashlib.sha256(MESSAGE).digest()

    def sign_ec(thread: int) -> int:
        return len(keys[thread].sign(digest, mechanism=Mechanism.ECDSA)) and 1

    def sign_ec_as_der(thread: int) -> int:
        hashed = hashlib.sha256(MESSAGE).digest()
        return len(encode_ecdsa_signature(keys[thread].sign(hashed, mechanism=Mechanism.ECDSA))) and 1

    def sign_rsa(thread: int) -> int:
        return len(keys[thread].sign(MESSAGE, mechanism=Mechanism.SHA256_RSA_PKCS)) and 1

    if asked["scheme"] != Scheme.ECDSA:
        return sign_rsa
    return sign_ec_as_der if asked["encodes"] else sign_ec


def side_by_side(asked: dict[str, Any]) -> list[float]:
    """Median seconds of a verified signature through the socket and in this process, one of each in turn."""
    der = bytes.fromhex(asked["key"])
    over = ClientStore(Path(asked["run"])).get(der)
    here = Pkcs11Store(Path(asked["module"]), asked["label"], Path(asked["pin"])).get(der)
    how = ec.ECDSA(SHA256)
    return interleaved([lambda: over.sign(MESSAGE, how), lambda: here.sign(MESSAGE, how)], 1000, warm_up=50)


def fill(asked: dict[str, Any]) -> None:
    """Put more key pairs on the token, without the search that follows when the product makes one."""
    token = load_module(Path(asked["module"])).find_token(asked["label"])
    session = token.open(rw=True, user_pin=Path(asked["pin"]).read_text().strip())
    for _ in range(asked["count"]):
        generate_pair(session, KeySpec.P_256, "document:more")


def rate(sign: Callable[[int], int], threads: int, seconds: float) -> float:
    """Signatures a second by all threads together."""
    counts = [0] * threads
    start = threading.Barrier(threads + 1)
    end = threading.Event()

    def work(thread: int) -> None:
        start.wait()
        while not end.is_set():
            counts[thread] += sign(thread)

    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    begun = time.perf_counter()
    time.sleep(seconds)
    end.set()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - begun)


def main() -> None:
    asked = json.loads(sys.argv[1])
    if asked["kind"] == "side by side":
        print(json.dumps(side_by_side(asked)))
        return
    if asked["kind"] == "fill":
        fill(asked)
        return
    sign = client(asked) if asked["kind"] == "client" else peer(asked)
    for thread in range(asked["threads"]):
        sign(thread)
    spare_what_is_there()  # as every process of the service; the peer has it too
    print("ready", flush=True)
    for line in sys.stdin:
        print(rate(sign, asked["threads"], float(line)), flush=True)


if __name__ == "__main__":
    main()
