"""Key objects on a token: what they are made with, how their labels say what they are for, how they are found by CKA_ID.

It leaves sessions, caches and errors to pkcs11_store.py: exceptions of python-pkcs11 pass through.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11._pkcs11 import SearchIter  # type: ignore[attr-defined]  # missing in the stubs
from pkcs11.util.ec import encode_named_curve_parameters

from hsm.errors import KeyNotProtected
from hsm.spec import (
    KeyRef,
    KeySpec,
    PublicKey,
    Purpose,
    curve_of,
    key_id_of,
    load_public_key,
    rsa_bits,
    spec_of,
    spki_der,
)

ID_OCTETS = 20
_BATCH = 64  # handles asked for at once
_TRIED = 16  # private keys that are looked at for one of ours before a token counts as having none

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
_PURPOSES = {purpose.value: purpose for purpose in Purpose}
_DESTROYED, _NO_PURPOSE = "destroyed", "none"
_CURVE_BY_PARAMETERS = {
    encode_named_curve_parameters(curve_of(spec).name): curve_of(spec) for spec in (KeySpec.P_256, KeySpec.P_384)
}


def named_label(purpose: Purpose | None, label: str) -> str:
    """CKA_LABEL of both halves of a key: its purpose, and the label that people gave it."""
    return label if purpose is None else f"{purpose.value}:{label}"


def tombstone_label(purpose: Purpose | None, label: str) -> str:
    """CKA_LABEL of what is left of a destroyed key."""
    return f"{_DESTROYED}:{_NO_PURPOSE if purpose is None else purpose.value}:{label}"


def read_label(text: str) -> tuple[Purpose | None, str, bool]:
    """Purpose, label and whether the key is destroyed, of a CKA_LABEL. What Antin did not write is a label as a whole."""
    first, colon, rest = text.partition(":")
    if colon and first in _PURPOSES:
        return _PURPOSES[first], rest, False
    if colon and first == _DESTROYED:
        purpose, colon, label = rest.partition(":")
        if colon and (purpose in _PURPOSES or purpose == _NO_PURPOSE):
            return _PURPOSES.get(purpose), label, True
    return None, text, False


def generate_pair(
    session: pkcs11.Session,
    spec: KeySpec,
    label: str,
    key_id: bytes | None = None,
    *,
    stays: bool = True,
) -> tuple[pkcs11.PublicKey, pkcs11.PrivateKey]:
    """Make a pair under a random CKA_ID: its real one follows from the public key, which is not known yet.

    `stays` False makes it of session objects, which no search of ours finds and which end with the session.
    """
    halves: dict[str, Any] = {
        "id": key_id or random_id(),
        "label": label,
        "store": stays,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "public_template": {**PUBLIC_TEMPLATE, Attribute.TOKEN: stays},
        "private_template": {**PRIVATE_TEMPLATE, Attribute.TOKEN: stays},
    }
    if spec.is_rsa:
        return session.generate_keypair(KeyType.RSA, rsa_bits(spec), **halves)
    parameters = encode_named_curve_parameters(curve_of(spec).name)
    domain = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: parameters}, local=True)
    return domain.generate_keypair(**halves)


def random_id() -> bytes:
    """A CKA_ID that no other key has."""
    return secrets.token_bytes(ID_OCTETS)


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


@dataclass(frozen=True)
class FoundPair:
    """What a token holds of one key: the private half, if it is there, and what its public half says."""

    private: pkcs11.Object | None
    ref: KeyRef
    is_destroyed: bool


def find_pair(session: pkcs11.Session, public_key_der: bytes) -> FoundPair | None:
    """What there is of this very public key; one linear search of the token."""
    private: pkcs11.Object | None = None
    found: FoundPair | None = None
    for half in _search(session, {Attribute.ID: key_id_of(public_key_der)}):
        kind = half[Attribute.CLASS]
        if kind == ObjectClass.PRIVATE_KEY:
            private = half if private is None else private
        elif kind == ObjectClass.PUBLIC_KEY and _spki_or_none(half) == public_key_der:
            read = _read_pair(half, public_key_der)
            if found is None or read.is_destroyed:  # one tombstone counts more than any number of public halves
                found = read
    return None if found is None else replace(found, private=private)


def list_pairs(session: pkcs11.Session, beat: Callable[[], None]) -> list[FoundPair]:
    """Every key whose CKA_ID follows from its public key. Half-made pairs and keys of other software are not ours."""
    privates = {}
    for private in _search(session, {Attribute.CLASS: ObjectClass.PRIVATE_KEY}):
        read = private.get_attributes([Attribute.ID])
        privates[bytes(read.get(Attribute.ID, b""))] = private
        beat()
    pairs: dict[bytes, FoundPair] = {}
    for public in _search(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY}):
        beat()
        key_id = bytes(public.get_attributes([Attribute.ID]).get(Attribute.ID, b""))
        der = _spki_or_none(public)
        if der is None or key_id != key_id_of(der):
            continue
        pair = _read_pair(public, der)
        if key_id not in pairs or pair.is_destroyed:
            pairs[key_id] = replace(pair, private=privates.get(key_id))
    return list(pairs.values())


def first_key(session: pkcs11.Session) -> FoundPair | None:
    """Some key of ours that can sign, without looking at all of a large token."""
    for private in _search(session, {Attribute.CLASS: ObjectClass.PRIVATE_KEY}, most=_TRIED):
        key_id = bytes(private.get_attributes([Attribute.ID]).get(Attribute.ID, b""))
        for public in _search(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: key_id}):
            der = _spki_or_none(public)
            if der is not None and key_id == key_id_of(der):
                pair = _read_pair(public, der)
                if not pair.is_destroyed:
                    return replace(pair, private=private)
    return None


def name_pair(session: pkcs11.Session, ref: KeyRef, purpose: Purpose) -> None:
    """Write what the key is for beside both halves: the public one last, for it is the one that is read."""
    privates, publics = _halves(session, ref.public_key_der)
    for half in (*privates, *publics):
        half[Attribute.LABEL] = named_label(purpose, ref.label)


def bury_pair(session: pkcs11.Session, ref: KeyRef) -> None:
    """Make the public half a tombstone, then remove the private one. A death in between leaves a key that signs nothing."""
    privates, publics = _halves(session, ref.public_key_der)
    for public in publics:
        public[Attribute.LABEL] = tombstone_label(ref.purpose, ref.label)
    for private in privates:
        private.destroy()


def destroy_all(session: pkcs11.Session, key_id: bytes) -> None:
    """Remove every object with this CKA_ID: what is left of a pair that could not be finished."""
    for half in _search(session, {Attribute.ID: key_id}):
        half.destroy()


def _halves(session: pkcs11.Session, public_key_der: bytes) -> tuple[list[pkcs11.Object], list[pkcs11.Object]]:
    """All private halves under the key's CKA_ID, and the public ones that hold this very key."""
    halves = _search(session, {Attribute.ID: key_id_of(public_key_der)})
    privates = [half for half in halves if half[Attribute.CLASS] == ObjectClass.PRIVATE_KEY]
    publics = [half for half in halves if half[Attribute.CLASS] == ObjectClass.PUBLIC_KEY]
    return privates, [public for public in publics if _spki_or_none(public) == public_key_der]


def _read_pair(public: pkcs11.Object, der: bytes) -> FoundPair:
    try:
        text = public.get_attributes([Attribute.LABEL]).get(Attribute.LABEL, "")
    except UnicodeDecodeError:
        text = ""  # a label of other software
    purpose, label, is_destroyed = read_label(text)
    return FoundPair(None, KeyRef(label, spec_of(load_public_key(der)), der, purpose), is_destroyed)


def _search(session: pkcs11.Session, template: dict[Attribute, Any], most: int | None = None) -> list[pkcs11.Object]:
    """The objects on the token that a template fits. The search is ended, whatever happens in it.

    Not `Session.get_objects`: when that fails it ends the search when it is collected, and the failure of that is
    printed by the interpreter, because nobody is left to hear it.
    """
    search = SearchIter(session, {Attribute.TOKEN: True, **template}, _BATCH)
    found: list[pkcs11.Object] = []
    try:
        search.__enter__()
        for batch in search:
            found.extend(batch)
            if most is not None and len(found) >= most:
                break
    except BaseException:
        with suppress(pkcs11.PKCS11Error):  # the failure that brought us here is the one to tell
            search._finalize()  # noqa: SLF001 no public name
        raise
    search.__exit__(None, None, None)
    return found


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


def check_attributes(private: pkcs11.Object, der: bytes) -> None:
    """Raise KeyNotProtected unless the token says that the key is sensitive, was made in it and never leaves it."""
    told = private.get_attributes(list(PROTECTED))
    for attribute, wanted in PROTECTED.items():
        # An attribute that the token does not tell counts against the key.
        if told.get(attribute) is not wanted:
            key_id = key_id_of(der).hex()
            name = f"CKA_{attribute.name}"
            raise KeyNotProtected(f"key {key_id}: {name} is not {wanted}", key_id=key_id, attribute=name)


def destroy_halves(*halves: pkcs11.Object) -> None:
    """Take away what was made of a pair, as far as the token lets us."""
    for half in halves:
        try:
            half.destroy()
        except pkcs11.PKCS11Error:
            continue  # the failure that brought us here is the one to tell
