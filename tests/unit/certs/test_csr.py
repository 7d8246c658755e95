"""A request gives a key and the proof that its sender holds it. Nothing else of it is believed."""

from __future__ import annotations

import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.csr import CSR_LIMIT, parse_csr, parse_public_key, read_public_key
from certs.errors import CsrMalformed, CsrProofWrong, KeyWeak
from hsm import der
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


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1])
@pytest.mark.parametrize("form", [PublicFormat.UncompressedPoint, PublicFormat.CompressedPoint])
def test_a_key_is_written_in_one_way_however_it_came(curve, form):
    key = ec.generate_private_key(curve()).public_key()
    written = spki_der(key)
    point = key.public_bytes(Encoding.X962, form)
    _, start, end = der.element(written, 0)
    _, algorithm_end = der.elements(written, start, end)[0][1:]
    came = der.sequence(written[start:algorithm_end], der.bits(point))
    again, octets = read_public_key(came)
    assert octets == written
    assert again == key


def test_octets_that_are_no_key_are_refused():
    with pytest.raises(KeyWeak):
        parse_public_key(b"\x30\x03\x02\x01\x01")


def signing_request(key, *, extensions: int = 0, digest=None) -> bytes:
    """A request with so many octets of an extension that nobody knows."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    builder = x509.CertificateSigningRequestBuilder(name)
    if extensions:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(extensions))
        builder = builder.add_extension(unknown, critical=True)
    return builder.sign(key, digest or hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_megabyte_of_extensions_is_refused_before_it_is_parsed(key):
    started = time.perf_counter()
    with pytest.raises(CsrMalformed):
        parse_csr(signing_request(key, extensions=1024 * 1024))
    assert time.perf_counter() - started < 5


def test_extensions_up_to_the_limit_change_nothing_of_what_a_request_gives(key):
    assert parse_csr(signing_request(key, extensions=CSR_LIMIT - 1000)) == spki_der(key.public_key())


def test_octets_after_the_request_are_refused(key):
    with pytest.raises(CsrMalformed):
        parse_csr(signing_request(key) + b"\0")


def test_two_requests_in_one_file_are_refused(key):
    pem = request(key).public_bytes(Encoding.PEM)
    parse_csr(b"Bag Attributes: none\n" + pem)
    with pytest.raises(CsrMalformed):
        parse_csr(pem + pem)


@pytest.mark.parametrize(
    "text", [b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"-----BEGIN", b"\x30\x84"]
)
def test_another_pem_or_half_of_one_is_refused(text):
    with pytest.raises(CsrMalformed):
        parse_csr(text)


def test_attributes_nested_ten_thousand_deep_end_in_a_refusal(key):
    nested = b""
    for _ in range(10_000):
        nested = b"\x30" + der_length(len(nested)) + nested
    with pytest.raises((CsrMalformed, KeyWeak)):
        parse_csr(nested[:CSR_LIMIT])


def der_length(size: int) -> bytes:
    octets = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    return octets if size < 128 else bytes([0x80 | len(octets)]) + octets


def test_a_point_that_is_not_on_its_curve_is_refused(key):
    der = bytearray(spki_der(key.public_key()))
    der[-1] ^= 1
    with pytest.raises(KeyWeak):
        parse_public_key(bytes(der))


SIGNER = ec.generate_private_key(ec.SECP256R1())
SIGNED = signing_request(SIGNER)


@given(st.integers(0, 2**16), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_request_with_any_octet_changed_is_refused(position, change):
    der = bytearray(SIGNED)
    der[position % len(der)] ^= change
    with pytest.raises((CsrMalformed, CsrProofWrong, KeyWeak)):
        parse_csr(bytes(der))


def test_a_signature_that_ends_within_an_octet_is_refused():
    """Where its last bit is zero, the reader takes no and one unused bit for the same signature."""
    request = bytearray(next(each for each in iter(lambda: signing_request(SIGNER), None) if each[-1] & 1 == 0))
    _, start, end = der.element(request, 0)
    _, signature, _ = der.elements(request, start, end)[2]
    assert request[signature] == 0
    request[signature] = 1
    assert x509.load_der_x509_csr(bytes(request)).is_signature_valid
    with pytest.raises(CsrMalformed):
        parse_csr(bytes(request))
