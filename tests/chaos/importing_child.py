"""A process that puts a key into a token whose private octets it knows: MODULE LABEL PIN_FILE. Prints both halves in hex.

No key of Antin comes about like this; a test has to know what it must not find anywhere.
"""

import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute
from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key

from hsm.module import load_module
from hsm.spec import Purpose, key_id_of, spki_der


def main() -> None:
    module, label, pin_file = sys.argv[1:]
    key = ec.generate_private_key(ec.SECP256R1())
    der = spki_der(key.public_key())
    sec1 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    both = {Attribute.ID: key_id_of(der), Attribute.TOKEN: True, Attribute.LABEL: f"{Purpose.DOCUMENT}:known"}
    protected = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.SIGN: True}
    session = load_module(Path(module)).find_token(label).open(rw=True, user_pin=Path(pin_file).read_text().strip())
    session.create_object({**decode_ec_public_key(der), **both, Attribute.PRIVATE: False, Attribute.VERIFY: True})
    session.create_object({**decode_ec_private_key(sec1), **both, **protected})
    session.close()
    print(der.hex(), f"{key.private_numbers().private_value:064x}")


if __name__ == "__main__":
    main()
