"""An issuer: one authority ready to sign, with its certificate, key, chain and public addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509

from certs.db import Database
from certs.inventory import get_certificate
from certs.names import subject_of
from certs.template import IssuerFacts, key_identifier_of
from hsm.ahead import SignedAhead, confirmed
from hsm.spec import PrivateKey, spki_der
from hsm.store import KeyStore
from pki.authorities import AuthorityState, get_authority
from pki.errors import IssuerNotGood
from pki.schemes import scheme_for, sign_messages


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
    keys: KeyStore
    crl_partitions: int = 0
    names_deltas: bool = False

    @property
    def is_root(self) -> bool:
        return len(self.chain) == 1

    def facts(self) -> IssuerFacts:
        """What the certificates it issues say about it."""
        return self._facts

    def sign_all(self, messages: Sequence[bytes]) -> list[SignedAhead]:
        """One signature for each of these to-be-signed octets, asked for together: less than half the time of one by one."""
        public_key = self.key.public_key()
        made = sign_messages(self.keys, spki_der(public_key), scheme_for(public_key), messages)
        return [confirmed(signature) for signature in made]

    @cached_property
    def _facts(self) -> IssuerFacts:
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
        keys=keys,
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
