import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from hsm.errors import MechanismUnavailable, SigningFailed
from hsm.handles import Scheme, rsa_padding, sign_only_key, verify_signature

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
SHA256 = hashes.SHA256()


def test_a_signature_over_something_else_never_leaves():
    def of_something_else(message, scheme, digest):
        return EC_KEY.sign(message + b"!", ec.ECDSA(digest))

    key = sign_only_key(EC_KEY.public_key(), of_something_else)
    with pytest.raises(SigningFailed):
        key.sign(b"m", ec.ECDSA(SHA256))


def test_a_store_may_hear_of_every_signature_that_is_verified():
    heard = []

    def hear(public_key, signature, message, scheme, digest):
        verify_signature(public_key, signature, message, scheme, digest)
        heard.append((message, scheme, digest.name))

    key = sign_only_key(
        EC_KEY.public_key(), lambda message, scheme, digest: EC_KEY.sign(message, ec.ECDSA(digest)), hear
    )
    key.sign(b"m", ec.ECDSA(SHA256))
    assert heard == [(b"m", Scheme.ECDSA, "sha256")]


@given(st.binary(max_size=300))
def test_no_octets_but_a_signature_leave_an_rsa_key(answer):
    key = sign_only_key(RSA_KEY.public_key(), lambda message, scheme, digest: answer)
    with pytest.raises(SigningFailed):
        key.sign(b"m", padding.PKCS1v15(), SHA256)


@given(st.binary(max_size=80))
def test_no_octets_but_a_signature_leave_an_elliptic_key(answer):
    key = sign_only_key(EC_KEY.public_key(), lambda message, scheme, digest: answer)
    with pytest.raises(SigningFailed):
        key.sign(b"m", ec.ECDSA(SHA256))


def test_pkcs1v15_where_pss_was_asked_for_does_not_pass():
    def wrong_scheme(message, scheme, digest):
        return RSA_KEY.sign(message, padding.PKCS1v15(), digest)

    key = sign_only_key(RSA_KEY.public_key(), wrong_scheme)
    with pytest.raises(SigningFailed):
        key.sign(b"m", rsa_padding(Scheme.RSA_PSS, SHA256), SHA256)


def test_the_store_is_told_the_whole_message_the_scheme_and_the_digest():
    told = []

    def sign(message, scheme, digest):
        told.append((message, scheme, digest.name))
        return RSA_KEY.sign(message, rsa_padding(scheme, digest), digest)

    key = sign_only_key(RSA_KEY.public_key(), sign)
    key.sign(b"m" * 1000, padding.PKCS1v15(), SHA256)
    key.sign(b"n", padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512())
    assert told == [(b"m" * 1000, Scheme.RSA_PKCS1V15, "sha256"), (b"n", Scheme.RSA_PSS, "sha512")]


def test_the_public_key_is_one_cached_object():
    key = sign_only_key(EC_KEY.public_key(), lambda message, scheme, digest: b"")
    assert key.public_key() is key.public_key()


def test_paddings_that_are_no_signature_padding_are_refused():
    key = sign_only_key(RSA_KEY.public_key(), lambda message, scheme, digest: b"")
    with pytest.raises(MechanismUnavailable):
        key.sign(b"m", padding.OAEP(padding.MGF1(SHA256), SHA256, None), SHA256)
