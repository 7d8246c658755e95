"""Certificate requests as nobody should send them, each with the code that refuses it; command line and HTTP get the same ones."""

from __future__ import annotations

from dataclasses import dataclass

from asn1crypto import csr as asn1_csr
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

SUBJECT = "CN=Cổng một cửa,OU=Tổ Công nghệ,O=Sở Thử nghiệm,C=VN"
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Strange:
    """One request and subject. `status` and `exit_code` are what HTTP and the command line end with."""

    name: str
    csr: bytes
    code: str
    subject: str = SUBJECT
    status: int = 400
    exit_code: int = 2
    # Where HTTP refuses it by another code, before anybody reads it.
    http_code: str = ""


def request_for(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, **extra: bytes
) -> bytes:
    """A request in PEM. Its names are those of an impostor; nobody should read them."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bộ Công\u202ean\x00")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if extra:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, extra["octets"]), critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


def good_request() -> bytes:
    return request_for(ec.generate_private_key(ec.SECP256R1()))


def strange_requests(used: bytes) -> list[Strange]:
    """All of them. `used` is a request whose key is certified for somebody else."""
    good = good_request()
    return [
        Strange("short-rsa", request_for(rsa.generate_private_key(65537, 1024)), "KEY_WEAK"),
        Strange("exponent-3", request_for(rsa.generate_private_key(3, 2048)), "KEY_WEAK"),
        Strange("p-521", request_for(ec.generate_private_key(ec.SECP521R1())), "KEY_WEAK"),
        Strange("ed25519", request_for(ed25519.Ed25519PrivateKey.generate()), "KEY_WEAK"),
        Strange("close-primes", _with_close_primes(), "KEY_BROKEN"),
        Strange("wrong-proof", _with_other_proof(), "CSR_PROOF_WRONG"),
        Strange("used-key", used, "KEY_IN_USE", status=409, exit_code=1),
        Strange("huge", _huge(), "CSR_MALFORMED", status=413, http_code="BODY_TOO_LARGE"),
        Strange("two", good + good, "CSR_MALFORMED"),
        Strange("text", b"-----BEGIN CERTIFICATE REQUEST-----\nnothing\n", "CSR_MALFORMED"),
        Strange("control", good, "NAME_CHARACTER_REFUSED", "CN=a\x07b,O=b,C=VN"),
        Strange("bidi", good, "NAME_CHARACTER_REFUSED", "CN=a\u202eb,O=b,C=VN"),
        Strange("nul", good, "NAME_CHARACTER_REFUSED", "CN=a\\00b,O=b,C=VN"),
        Strange("long", good, "NAME_TOO_LONG", f"CN={'ơ' * 65},O=b,C=VN"),
        Strange("uid", good, "NAME_UID_UNKNOWN", "CN=a,UID=XYZ:1,O=b,C=VN"),
    ]  # fmt: skip


def _huge() -> bytes:
    """A mebibyte of extensions, in DER; what is longer is not even read from a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _der(request_for(key, octets=bytes(_MEBIBYTE - 4096)))


def _with_close_primes() -> bytes:
    """A modulus of two primes side by side, which Fermat's method takes apart at once."""
    size = 1024
    q = _next_prime(3 << (size - 2))
    p = _next_prime(q + 2)
    e, phi = 65537, (p - 1) * (q - 1)
    d = pow(e, -1, phi)
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return request_for(numbers.private_key())


def _next_prime(start: int) -> int:
    candidate = start | 1
    while any(pow(base, candidate - 1, candidate) != 1 for base in (2, 3, 5)):
        candidate += 2
    return candidate


def _with_other_proof() -> bytes:
    """The key of one request under the signature of another."""
    one, two = (asn1_csr.CertificationRequest.load(_der(good_request())) for _ in range(2))
    one["signature"] = two["signature"]
    return x509.load_der_x509_csr(one.dump()).public_bytes(serialization.Encoding.PEM)


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER)
