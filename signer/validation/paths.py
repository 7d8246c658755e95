"""The path from a signer's certificate to an anchor, and what the given revocation lists say along it. Judges no time.

Path building is our own because it must end: names and key identifiers lead, and signature checks are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from asn1crypto import crl as asn1_crl
from asn1crypto import x509
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import DisallowWeakAlgorithmsPolicy
from pyhanko_certvalidator.validate import async_validate_path

from signer.validation.certificates import REMEMBERED_OCTETS, certificate_facts
from signer.validation.crl_facts import Listed, Position, read_crls
from signer.validation.errors import InputsUnreadable
from signer.validation.facts import TRUST_KINDS, CrlFacts, PathFacts, Trust, TrustAnchor, ValidationInputs
from signer.validation.ocsp_facts import read_ocsp
from signer.validation.signature_check import EverySignature, check_value
from signer.validation.store import NO_STORE, Store, joined

_DEEPEST = 8
_MOST_CHECKS = 60
_MOST_EMBEDDED = 100
# A path is tried against so many certificates of one name, and so many are given at all: whoever has more has made a maze.
_MOST_OF_A_NAME = 50
_MOST_GIVEN = 1000

# The signers of an agency come again and again, and a path is a third of the work on a small file. What the given octets
# alone decide is remembered while it is small; what a revocation list has part in is not.
_REMEMBERED_PATHS = 256
_REMEMBERED_INPUTS = 64

# Whether an algorithm is strong enough is policy.py's to say, by the facts.
_ANY_ALGORITHM = DisallowWeakAlgorithmsPolicy(  # type: ignore[no-untyped-call]  # the library's
    weak_hash_algos=frozenset(),
    weak_signature_algos=frozenset(),
    rsa_key_size_threshold=0,
    dsa_key_size_threshold=0,
)


@dataclass(frozen=True)
class _Anchor:
    certificate: x509.Certificate
    kind: Trust


class PathFinder:
    """Finds paths for the signatures of one file. Built once a file."""

    def __init__(self, inputs: ValidationInputs, store: Store = NO_STORE) -> None:
        self._inputs = inputs
        self._store = store
        self._searches = {False: _Search(_anchors_for(inputs, stamps=False), inputs.intermediates, inputs.crls, store)}

    def with_store(self, store: Store) -> PathFinder:
        """The same for a file, or a signature, that brings a store along; besides what is there already."""
        return PathFinder(self._inputs, joined(self._store, store)) if store is not NO_STORE else self

    def find(
        self, signer: x509.Certificate, embedded: Sequence[x509.Certificate], *, stamps: bool = False
    ) -> PathFacts | None:
        """The first path that keeps every rule, else the first that breaks one, else None. `stamps`: of one who made a time-stamp."""
        certificates = (signer, *embedded[:_MOST_EMBEDDED], *self._store.certificates[:_MOST_EMBEDDED])
        ders = tuple(certificate.dump() for certificate in certificates)
        if self._inputs.crls or self._store is not NO_STORE or sum(map(len, ders)) > REMEMBERED_OCTETS:
            return self._search(stamps=stamps).find(*certificates)
        return _remembered_path(_anchors_for(self._inputs, stamps=stamps), self._inputs.intermediates, ders)

    def _search(self, *, stamps: bool) -> _Search:
        stamps = stamps and any(anchor.stamps_only for anchor in self._inputs.anchors)
        if stamps not in self._searches:
            inputs = self._inputs
            self._searches[stamps] = _Search(inputs.anchors, inputs.intermediates, inputs.crls, self._store)
        return self._searches[stamps]


def _anchors_for(inputs: ValidationInputs, *, stamps: bool) -> tuple[TrustAnchor, ...]:
    """Whoever is trusted to tell the time is not trusted to say who has signed."""
    return inputs.anchors if stamps else tuple(anchor for anchor in inputs.anchors if not anchor.stamps_only)


@lru_cache(_REMEMBERED_PATHS)
def _remembered_path(
    anchors: tuple[TrustAnchor, ...], intermediates: tuple[bytes, ...], ders: tuple[bytes, ...]
) -> PathFacts | None:
    """The path of the first certificate, with the others at hand; no time and nothing else of a file plays a part in it."""
    return _Search(anchors, intermediates, (), NO_STORE).find(*(x509.Certificate.load(der) for der in ders))


class _Search:
    """Builds the paths that names and key identifiers lead along, and tries each."""

    def __init__(
        self, anchors: Sequence[TrustAnchor], intermediates: Sequence[bytes], crls: Sequence[bytes], store: Store
    ) -> None:
        given = [_Anchor(_load_certificate(anchor.der), anchor.kind) for anchor in anchors]
        # The order in which anchors are given must never change an answer.
        self._anchors = sorted(given, key=lambda a: (TRUST_KINDS.index(a.kind), a.certificate.dump()))
        self._pool = [_load_certificate(der) for der in intermediates[:_MOST_GIVEN]]
        given_lists = [Listed(_load_crl(der), "given") for der in crls]
        self._crls = [*given_lists, *(Listed(_load_crl(der), "embedded") for der in store.crls)]
        self._ocsps = store.ocsps
        self._checks = 0
        self._at_hand: tuple[x509.Certificate, ...] = ()

    def find(self, signer: x509.Certificate, *embedded: x509.Certificate) -> PathFacts | None:
        for anchor in self._anchors:
            if anchor.certificate.dump() == signer.dump():
                return PathFacts(anchor.kind, anchor.certificate.sha256.hex(), ())
        self._checks = 0
        # Most files bring along what we have already; to try it once is enough.
        pool: dict[bytes, x509.Certificate] = {}
        for candidate in (*self._pool, *embedded):
            pool.setdefault(candidate.dump(), candidate)
        self._at_hand = (*pool.values(), *(anchor.certificate for anchor in self._anchors))
        by_name: dict[str, list[x509.Certificate]] = {}
        for candidate in pool.values():
            same = by_name.setdefault(_name_of(candidate.subject), [])
            if len(same) < _MOST_OF_A_NAME:
                same.append(candidate)
        broken: PathFacts | None = None
        for chain, anchor in self._walk([signer], by_name):
            problem = _broken_rule(chain, anchor)
            facts = self._facts(chain, anchor, problem)
            if not problem:
                return facts
            broken = broken or facts
        return broken

    def _walk(
        self, chain: list[x509.Certificate], pool: Mapping[str, Sequence[x509.Certificate]]
    ) -> Iterator[tuple[list[x509.Certificate], _Anchor]]:
        last = chain[-1]
        anchored = False
        for anchor in self._anchors:
            if self._is_issued_by(last, anchor.certificate):
                anchored = True
                yield chain, anchor
        if anchored or len(chain) >= _DEEPEST:
            return
        for candidate in pool.get(_name_of(last.issuer), ()):
            if self._checks >= _MOST_CHECKS:
                return
            known = any(candidate.dump() == link.dump() for link in chain)
            if not known and self._is_issued_by(last, candidate):
                yield from self._walk([*chain, candidate], pool)

    def _is_issued_by(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        try:
            if certificate.issuer.dump() != issuer.subject.dump() and certificate.issuer != issuer.subject:
                return False
            wanted, offered = certificate.authority_key_identifier, issuer.key_identifier
            if wanted is not None and offered is not None and wanted != offered:
                return False
            if self._checks >= _MOST_CHECKS:
                return False
            self._checks += 1
            check_value(
                certificate["signature_value"].native,
                certificate["tbs_certificate"].dump(),
                issuer.public_key,
                certificate["signature_algorithm"],
            )
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  a key or algorithm that cannot be used is no issuer
            return False
        return True

    def _facts(self, chain: list[x509.Certificate], anchor: _Anchor, problem: str) -> PathFacts:
        issuers = [*chain[1:], anchor.certificate]
        above = [*issuers[1:], None]
        certificates = tuple(
            certificate_facts(certificate, tuple(self._crl_facts(certificate, issuer, higher)))
            for certificate, issuer, higher in zip(chain, issuers, above, strict=True)
        )
        return PathFacts(anchor.kind, anchor.certificate.sha256.hex(), certificates, problem)

    def _crl_facts(
        self, certificate: x509.Certificate, issuer: x509.Certificate, above: x509.Certificate | None
    ) -> list[CrlFacts]:
        place = Position(certificate, issuer, above, self._at_hand)
        found = list(read_crls(self._crls, place, self._is_issued_by))
        for answer in self._ocsps:
            try:
                facts = read_ocsp(answer, certificate, issuer)
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001, S112  the same for an answer
                continue
            if facts is not None:
                found.append(replace(facts, source="embedded"))
        return found


def _name_of(name: x509.Name) -> str:
    """What two names have in common that are the same by RFC 5280 7.1."""
    try:
        return str(name.hashable)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a name that cannot be read is nobody's but its own
        return bytes(name.dump()).hex()


@lru_cache(_REMEMBERED_INPUTS)
def _load_certificate(der: bytes) -> x509.Certificate:
    """A certificate the caller gave; its parts are parsed now, so that what is wrong with it is not blamed on a file."""
    try:
        certificate = x509.Certificate.load(der, strict=True)
        certificate_facts(certificate)
    except MemoryError:
        raise
    except Exception as error:
        raise InputsUnreadable("not a certificate", kind="certificate") from error
    return certificate


def _load_crl(der: bytes) -> asn1_crl.CertificateList:
    try:
        crl = asn1_crl.CertificateList.load(der, strict=True)
        crl.issuer.dump()
    except MemoryError:
        raise
    except Exception as error:
        raise InputsUnreadable("not a revocation list", kind="crl") from error
    return crl


def _broken_rule(chain: list[x509.Certificate], anchor: _Anchor) -> str:
    """Which rule of RFC 5280 6.1 the chain breaks apart from time and revocation; empty for none."""
    try:
        begin = max(c["tbs_certificate"]["validity"]["not_before"].native for c in chain)
        end = min(c["tbs_certificate"]["validity"]["not_after"].native for c in chain)
        if begin > end:
            return "NO_COMMON_MOMENT"
        moment = begin + (end - begin) / 2
        context = ValidationContext(
            trust_roots=[anchor.certificate],
            moment=moment,
            best_signature_time=moment,
            allow_fetching=False,
            revocation_mode="soft-fail",
            algorithm_usage_policy=_ANY_ALGORITHM,
            signature_validator=EverySignature(),
        )
        # Name constraints of an anchor count only when they are derived from its certificate.
        trusted = CertTrustAnchor(anchor.certificate, derive_default_quals_from_cert=True)
        path = ValidationPath(trusted, list(reversed(chain[1:])), chain[0])
        steps = async_validate_path(context, path)
        try:
            steps.send(None)
        except StopIteration:
            return ""
        finally:
            steps.close()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  pyHanko raises many kinds; each means that the path does not stand
        return type(error).__name__
    return "WAITED"
