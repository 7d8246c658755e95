"""A request gives a key and the proof that its sender holds it. Nothing else of it is believed."""

from __future__ import annotations

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certs.csr import CSR_LIMIT, parse_csr, parse_public_key
from certs.errors import CsrMalformed, CsrProofWrong, KeyWeak
from hsm.spec import spki_der


def request(key, digest=None, **kwargs) -> x509.CertificateSigningRequest:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "I decide what I am called")])
    builder = x509.CertificateSigningRequestBuilder(name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, digest or hashes.SHA256(), **kwargs)


@pytest.fixture(scope="module")
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_a_request_gives_its_public_key(key, encoding):
    assert parse_csr(request(key).public_bytes(encoding)) == spki_der(key.public_key())


def test_a_request_of_openssl_is_understood(tmp_path):
    subprocess.run(
        [
            "openssl",
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            tmp_path / "k",
            "-out",
            tmp_path / "r",
            "-subj",
            "/CN=a",
        ],
        check=True,
        capture_output=True,
    )
    parse_public_key(parse_csr((tmp_path / "r").read_bytes()))


def test_a_request_signed_by_another_key_is_no_proof(key):
    der = bytearray(request(key).public_bytes(Encoding.DER))
    other = spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
    at = bytes(der).index(spki_der(key.public_key()))
    der[at : at + len(other)] = other
    with pytest.raises(CsrProofWrong):
        parse_csr(bytes(der))


@pytest.mark.parametrize(
    "data", [b"", b"not a request", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request_is_refused(data):
    with pytest.raises(CsrMalformed):
        parse_csr(data)


def test_a_truncated_or_huge_request_is_refused(key):
    der = request(key).public_bytes(Encoding.DER)
    with pytest.raises(CsrMalformed):
        parse_csr(der[:-5])
    with pytest.raises(CsrMalformed):
        parse_csr(der + b"\0" * CSR_LIMIT)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024), "size"),
        (lambda: rsa.generate_private_key(public_exponent=3, key_size=2048), "exponent"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "curve"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "curve"),
        (lambda: dsa.generate_private_key(2048), "kind"),
        (ed25519.Ed25519PrivateKey.generate, "kind"),
    ],
)
def test_weak_and_foreign_keys_are_refused(make, problem):
    with pytest.raises(KeyWeak) as refused:
        parse_public_key(spki_der(make().public_key()))
    assert refused.value.facts["problem"] == problem


def test_a_weak_key_is_refused_in_a_request_too():
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(KeyWeak):
        parse_csr(request(weak).public_bytes(Encoding.DER))


def test_octets_that_are_no_key_are_refused():
    with pytest.raises(KeyWeak):
        parse_public_key(b"\x30\x03\x02\x01\x01")
