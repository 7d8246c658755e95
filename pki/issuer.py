"""An issuer: one authority ready to sign, with its certificate, key, chain and public addresses."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from certs.db import Database
from certs.inventory import get_certificate
from certs.names import subject_of
from certs.template import IssuerFacts, key_identifier_of
from hsm.spec import PrivateKey, PublicKey
from hsm.store import KeyStore
from pki.authorities import AuthorityState, get_authority
from pki.errors import IssuerNotGood


@dataclass(frozen=True)
class Issuer:
    """Loaded once and kept. `chain` runs from its own certificate to the root; a root's is itself alone."""

    name: str
    profile: str
    serial: str
    certificate: x509.Certificate
    key: PrivateKey
    chain: tuple[x509.Certificate, ...]
    public_url: str
    crl_partitions: int = 0
    names_deltas: bool = False

    @property
    def is_root(self) -> bool:
        return len(self.chain) == 1

    def facts(self) -> IssuerFacts:
        """What the certificates it issues say about it."""
        return IssuerFacts(
            name=subject_of(self.certificate),
            key_identifier=key_identifier_of(self.certificate),
            not_after=self.certificate.not_valid_after_utc,
            crl_url=crl_url(self.public_url, self.name),
            ca_url=ca_url(self.public_url, self.name),
            # A root's responder would need the root's key every few weeks: for what it certifies there is the CRL.
            ocsp_url=None if self.is_root else ocsp_url(self.public_url),
            crl_partitions=self.crl_partitions,
            shard_url=crl_url(self.public_url, f"{self.name}/s/{{shard}}"),
            # A root issues no deltas (pki/crl.py).
            names_deltas=self.names_deltas and not self.is_root,
        )


@dataclass(frozen=True)
class SignatureChoice:
    """How a key of this kind signs certificates and CRLs."""

    digest: hashes.SHA256 | hashes.SHA384
    rsa_padding: padding.PSS | None


def choose_signature(public_key: PublicKey) -> SignatureChoice:
    """SHA-384 for P-384, SHA-256 for the rest; RSA by PSS with a salt as long as the digest.

    PSS for certificates too: Thông tư 15/2025 names it for RSA, and the readers we test with (OpenSSL) verify such chains.
    """
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        # Digest as strong as the curve (RFC 5753 8, SP 800-57 part 1 table 3).
        return SignatureChoice(hashes.SHA384() if public_key.key_size > 256 else hashes.SHA256(), None)
    assert isinstance(public_key, rsa.RSAPublicKey)
    digest = hashes.SHA256()
    return SignatureChoice(digest, padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.DIGEST_LENGTH))


def load_issuer(
    database: Database, keys: KeyStore, name: str, public_url: str, *, names_deltas: bool = False
) -> Issuer:
    """An authority by name. IssuerNotGood while it has no certificate; its key is asked for after the last query.

    `names_deltas`: whether the certificates it issues say where its delta CRLs are.
    """
    certificates: list[x509.Certificate] = []
    with database.read() as session:
        authority = get_authority(session, name)
        step = authority
        while True:
            if step.state is AuthorityState.PENDING or step.serial is None:
                raise IssuerNotGood(f"{step.name} has no certificate yet", authority=step.name, state=step.state.value)
            certificates.append(get_certificate(session, step.serial).certificate())
            if step.parent is None:
                break
            step = get_authority(session, step.parent)
    assert authority.serial is not None
    return Issuer(
        name=authority.name,
        profile=authority.profile,
        serial=authority.serial,
        certificate=certificates[0],
        key=keys.get(authority.public_key_der),
        chain=tuple(certificates),
        public_url=public_url,
        crl_partitions=authority.crl_partitions,
        names_deltas=names_deltas,
    )


def crl_url(public_url: str, authority: str) -> str:
    """Where an authority's CRL is fetched; `authority/s/K` for one of its partitions."""
    return f"{public_url.rstrip('/')}/crl/{authority}.crl"


def ca_url(public_url: str, authority: str) -> str:
    """Where an authority's own certificate is fetched (DER)."""
    return f"{public_url.rstrip('/')}/ca/{authority}.cer"


def ocsp_url(public_url: str) -> str:
    """Where the status of a certificate is asked for."""
    return f"{public_url.rstrip('/')}/ocsp"


def sign_certificate(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    """Sign with the choice that goes with the key."""
    choice = choose_signature(key.public_key())
    return builder.sign(key, choice.digest, rsa_padding=choice.rsa_padding)
