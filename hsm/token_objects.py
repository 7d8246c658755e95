"""Key objects on a token: what they are made with, how their public key is read, how they are found by CKA_ID.

It leaves sessions, caches and errors to pkcs11_store.py: exceptions of python-pkcs11 pass through.
"""

from __future__ import annotations

import secrets
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from hsm.spec import KeyRef, KeySpec, PublicKey, curve_of, key_id_of, rsa_bits, spec_of, spki_der

ID_OCTETS = 20

# What a key of Antin may do (PKCS#11 v3.0, 4.9): sign, and nothing that could carry it or another key out.
PRIVATE_TEMPLATE: dict[Attribute, Any] = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.SIGN: True,
    Attribute.SIGN_RECOVER: False,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.DERIVE: False,
}
PUBLIC_TEMPLATE: dict[Attribute, Any] = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: False,
    Attribute.VERIFY: True,
    Attribute.ENCRYPT: False,
    Attribute.WRAP: False,
}
# What must be true of a key before it is relied on.
PROTECTED: dict[Attribute, bool] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.NEVER_EXTRACTABLE: True,
    Attribute.LOCAL: True,
}
_CURVE_BY_PARAMETERS = {
    encode_named_curve_parameters(curve_of(spec).name): curve_of(spec) for spec in (KeySpec.P_256, KeySpec.P_384)
}


def generate_pair(session: pkcs11.Session, spec: KeySpec, label: str) -> tuple[pkcs11.PublicKey, pkcs11.PrivateKey]:
    """Make a pair on the token under a random CKA_ID: its real one follows from the public key, which is not known yet."""
    halves: dict[str, Any] = {
        "id": secrets.token_bytes(ID_OCTETS),
        "label": label,
        "store": True,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "public_template": PUBLIC_TEMPLATE,
        "private_template": PRIVATE_TEMPLATE,
    }
    if spec.is_rsa:
        return session.generate_keypair(KeyType.RSA, rsa_bits(spec), **halves)
    parameters = encode_named_curve_parameters(curve_of(spec).name)
    domain = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: parameters}, local=True)
    return domain.generate_keypair(**halves)


def read_public_key(public: pkcs11.Object) -> PublicKey:
    """The public key in an object; ValueError for a kind that Antin does not make."""
    kind = public[Attribute.KEY_TYPE]
    if kind == KeyType.RSA:
        read = public.get_attributes([Attribute.MODULUS, Attribute.PUBLIC_EXPONENT])
        modulus = int.from_bytes(read[Attribute.MODULUS], "big")
        return rsa.RSAPublicNumbers(int.from_bytes(read[Attribute.PUBLIC_EXPONENT], "big"), modulus).public_key()
    if kind == KeyType.EC:
        read = public.get_attributes([Attribute.EC_PARAMS, Attribute.EC_POINT])
        curve = _CURVE_BY_PARAMETERS.get(bytes(read[Attribute.EC_PARAMS]))
        if curve is not None:
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, _point(bytes(read[Attribute.EC_POINT]), curve))
    raise ValueError("not a kind of key Antin makes")


def find_private(session: pkcs11.Session, key_id: bytes, public_key_der: bytes) -> pkcs11.PrivateKey | None:
    """The private half that stands beside this very public key; one linear search of the token."""
    private, public_halves = _halves(session, key_id)
    if private is not None and any(_spki_or_none(public) == public_key_der for public in public_halves):
        return private
    return None


def list_pairs(session: pkcs11.Session) -> list[KeyRef]:
    """Every key whose CKA_ID follows from its public key. Half-made pairs and keys of other software are not ours."""
    private_ids = {
        bytes(read[Attribute.ID])
        for private in _search(session, {Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        if Attribute.ID in (read := private.get_attributes([Attribute.ID]))
    }
    refs = {}
    for public in _search(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY}):
        read = public.get_attributes([Attribute.ID, Attribute.LABEL])
        key_id = bytes(read.get(Attribute.ID, b""))
        der = _spki_or_none(public) if key_id in private_ids else None
        if der is not None and key_id == key_id_of(der):
            spec = spec_of(read_public_key(public))
            refs[key_id] = KeyRef(label=read.get(Attribute.LABEL, ""), spec=spec, public_key_der=der)
    return list(refs.values())


def destroy_pair(session: pkcs11.Session, key_id: bytes) -> None:
    """Remove every half with this CKA_ID, the private ones first: a lone public half signs nothing."""
    halves = _search(session, {Attribute.ID: key_id})
    for half in sorted(halves, key=lambda half: not isinstance(half, pkcs11.PrivateKey)):
        half.destroy()


def _halves(session: pkcs11.Session, key_id: bytes) -> tuple[pkcs11.PrivateKey | None, list[pkcs11.PublicKey]]:
    found = _search(session, {Attribute.ID: key_id})
    private = next((half for half in found if isinstance(half, pkcs11.PrivateKey)), None)
    return private, [half for half in found if isinstance(half, pkcs11.PublicKey)]


def _search(session: pkcs11.Session, template: dict[Attribute, Any]) -> list[pkcs11.Object]:
    # Always to the end: a search that is left half-way keeps the session's operation lock.
    return list(session.get_objects(template))


def _spki_or_none(public: pkcs11.Object) -> bytes | None:
    try:
        key = read_public_key(public)
        spec_of(key)
    except ValueError:
        return None
    return spki_der(key)


def _point(encoded: bytes, curve: ec.EllipticCurve) -> bytes:
    # CKA_EC_POINT is the point in an OCTET STRING (PKCS#11 v3.0, 6.3.3); some tokens give the bare point. Both begin
    # with 04, so only the length tells them apart.
    bare = 1 + 2 * (curve.key_size // 8)
    return encoded if len(encoded) == bare else encoded[-bare:]
