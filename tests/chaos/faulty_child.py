"""A process that uses a PKCS#11 module with no ladder above it: MODULE LABEL PIN_FILE.

It reads commands from standard input, a line each, and answers each with a line of words: "ok", "wrong" for a signature
that does not verify, or the return value's name.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters

from hsm.module import load_module
from hsm.rv import name_of

DIGEST = b"\x01" * 32


class Child:
    def __init__(self, module: Path, label: str, pin_file: Path) -> None:
        self._token = load_module(module).find_token(label)
        self._pin = pin_file.read_text().strip()
        self._sessions: list[pkcs11.Session] = []

    def login(self, pin: str = "") -> str:
        self._sessions.append(self._token.open(rw=True, user_pin=pin or self._pin))
        parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        domain = self._sessions[0].create_domain_parameters(KeyType.EC, parameters, local=True)
        public, self._private = domain.generate_keypair(store=False)
        point = public[Attribute.EC_POINT][2:]
        self._public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        return "ok"

    def open(self) -> str:
        self._sessions.append(self._token.open())
        return "ok"

    def close(self) -> str:
        self._sessions.pop().close()
        return "ok"

    def sign(self) -> str:
        assert isinstance(self._private, pkcs11.SignMixin)
        raw = self._private.sign(DIGEST, mechanism=Mechanism.ECDSA)
        signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            self._public.verify(signature, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        except InvalidSignature:
            return "wrong"
        return "ok"

    def random(self) -> str:
        return "ok" if len(self._sessions[0].generate_random(64)) == 8 else "wrong"

    def do(self, deed: str, *words: str) -> str:
        try:
            answer: str = getattr(self, deed)(*words)
        except pkcs11.PKCS11Error as error:
            return name_of(error) or type(error).__name__
        return answer


def main() -> None:
    module, label, pin_file = sys.argv[1:]
    child = Child(Path(module), label, Path(pin_file))
    for line in sys.stdin:
        deed, *words = line.split()
        if deed == "threads":  # threads COUNT TIMES: random numbers, because one session signs once at a time
            count, times = map(int, words)
            with ThreadPoolExecutor(count) as threads:
                answers = list(threads.map(child.do, ["random"] * (count * times)))
        else:  # DEED TIMES or DEED WORD
            times = int(words.pop()) if words and words[-1].isdigit() and deed != "login" else 1
            answers = [child.do(deed, *words) for _ in range(times)]
        print(*answers, flush=True)


if __name__ == "__main__":
    main()
