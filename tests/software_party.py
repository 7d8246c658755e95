"""A party with a key of its own making and a certificate that a home issued: whoever signs files outside of the token."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.attacks.pki import Party
from tests.installation import User


def issued_party(user: User, name: str = "Máy gửi") -> Party:
    """Ask the home for a certificate and take its authority along."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    (user.folder / "party.csr").write_bytes(request.public_bytes(Encoding.PEM))
    subject = f"CN={name},O=Sở Thử nghiệm,C=VN"
    user.antin(
        "cert", "issue", "--profile", "system", "--subject", subject, "--csr", "party.csr", "-o", "party.pem", "--force"
    )  # fmt: skip
    certificate = x509.load_pem_x509_certificate((user.folder / "party.pem").read_bytes())
    issuing = x509.load_pem_x509_certificate(user.antin("ca", "show", "issuing", "--pem").encode())
    return Party(certificate, key, None, [issuing])
