"""What revocation lists say of one certificate, once it is sure who signed them and that they speak of it (RFC 5280 5 and 6.3.3).

Runs in the judge process; whether a list is fresh enough is standing.py's to say. A list is the issuer's own, or signed by another
key of the same authority, or by somebody whom the certificate itself names (an indirect list); a delta completes its base.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from asn1crypto import crl as asn1_crl
from asn1crypto import x509
from cryptography import x509 as pyca_x509

from signer.validation.facts import CrlFacts, Source
from signer.validation.signature_check import check_value, scheme_of

# Whether the second one has issued the first one.
IsIssuedBy = Callable[[x509.Certificate, x509.Certificate], bool]
_MOST_SIGNERS = 10
# They are looked through one by one; a direct list is asked for a serial.
_MOST_INDIRECT_ENTRIES = 1_000_000


@dataclass(frozen=True)
class Listed:
    """A revocation list and where it was found."""

    crl: asn1_crl.CertificateList
    source: Source


@dataclass(frozen=True)
class Position:
    """A certificate in its path: who issued it, who issued that one (None: it is the anchor), and which certificates are at hand."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    above: x509.Certificate | None
    at_hand: Sequence[x509.Certificate]


@dataclass(frozen=True)
class _Signer:
    """Who signed a list, and until when that is known of him; None for the issuer, whose standing is asked for anyway."""

    certificate: x509.Certificate
    until: datetime | None = None


@dataclass(frozen=True)
class _Read:
    """A list that speaks of the certificate. `base`: the number of the complete list that a delta goes on from."""

    listed: Listed
    parsed: pyca_x509.CertificateRevocationList
    signer: bytes
    until: datetime | None
    scope: bytes
    number: int | None
    base: int | None
    entry: pyca_x509.RevokedCertificate | None


def read_crls(lists: Sequence[Listed], place: Position, is_issued_by: IsIssuedBy) -> Iterator[CrlFacts]:
    """The facts of every list that speaks of the certificate. A list that cannot be read says nothing."""
    read: list[_Read] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography counts bytes where X.520 counts characters
        for listed in lists:
            try:
                found = _read(listed, place, is_issued_by, lists)
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001, S112  whatever a list is made of, it is no reason to judge no file
                continue
            if found is not None:
                read.append(found)
        for each in read:
            if each.base is None:
                yield _facts(each, each.entry, each.listed.source, _digest_of(each))
            else:
                yield from _completed(each, read)


def _read(listed: Listed, place: Position, is_issued_by: IsIssuedBy, lists: Sequence[Listed]) -> _Read | None:
    own_name = listed.crl.issuer.dump() == place.issuer.subject.dump()
    named = None if own_name else _point_naming(place.certificate, listed.crl.issuer)
    if not own_name and named is None:
        return None
    signer = next(_signers(listed.crl, place, is_issued_by, lists, own_name=own_name), None)
    if signer is None:
        return None
    parsed = pyca_x509.load_der_x509_crl(listed.crl.dump())
    scope, number, base, indirect = b"", None, None, False
    for extension in parsed.extensions:
        value = extension.value
        if isinstance(value, pyca_x509.IssuingDistributionPoint):
            if not _speaks_of(value, place, named, parsed.issuer):
                return None
            scope, indirect = value.public_bytes(), value.indirect_crl
        elif isinstance(value, pyca_x509.CRLNumber):
            number = value.crl_number
        elif isinstance(value, pyca_x509.DeltaCRLIndicator):
            base = value.crl_number
        elif extension.critical:
            return None  # RFC 5280 5.2: something we do not know
    if not own_name and not indirect:
        return None  # RFC 5280 6.3.3 (b)(1)
    entry = (
        _indirect_entry(parsed, listed.crl, place)
        if indirect
        else parsed.get_revoked_certificate_by_serial_number(place.certificate.serial_number)
    )
    return _Read(listed, parsed, signer.certificate.public_key.dump(), signer.until, scope, number, base, entry)


def _signers(
    crl: asn1_crl.CertificateList, place: Position, is_issued_by: IsIssuedBy, lists: Sequence[Listed], *, own_name: bool
) -> Iterator[_Signer]:
    """Who has signed the list and may: the issuer itself, else who was certified for it by the issuer or beside it.

    RFC 5280 6.3.3 (f): the signer's path leads to the same anchor, and its key usage allows to sign lists. A certificate that is not
    the issuer's own must say so, and must not be revoked itself.
    """
    if own_name and _may_sign(place.issuer, must_say=False) and _has_signed(crl, place.issuer):
        yield _Signer(place.issuer)
        return
    # The authority's newer key certified its older one (RFC 4210 4.4, OldWithNew), and stands in the path itself.
    is_renewed = own_name and place.above is not None and place.above.subject.dump() == crl.issuer.dump()
    if (
        is_renewed
        and place.above is not None
        and _may_sign(place.above, must_say=False)
        and _has_signed(crl, place.above)
    ):
        yield _Signer(place.above)
        return
    name = crl.issuer.dump()
    named = (each for each in place.at_hand if each.subject.dump() == name and each.dump() != place.issuer.dump())
    certifiers = (place.issuer, *([place.above] if place.above is not None else []))
    for each in islice(named, _MOST_SIGNERS):
        if not (_may_sign(each, must_say=True) and _in_term(each, crl) and _has_signed(crl, each)):
            continue
        certifier = next((one for one in certifiers if is_issued_by(each, one)), None)
        if certifier is not None:
            yield from _in_force(each, certifier, lists)


def _in_force(signer: x509.Certificate, certifier: x509.Certificate, lists: Sequence[Listed]) -> Iterator[_Signer]:
    """The signer, unless its certifier has revoked it. One of another name than its certifier has to be told good by a list."""
    until: datetime | None = None
    told = False
    for listed in lists:
        if listed.crl.issuer.dump() != certifier.subject.dump() or not _has_signed(listed.crl, certifier):
            continue
        parsed = pyca_x509.load_der_x509_crl(listed.crl.dump())
        if parsed.get_revoked_certificate_by_serial_number(signer.serial_number) is not None:
            return
        if not any(extension.critical for extension in parsed.extensions):
            told = True
            ends = [each for each in (until, parsed.next_update_utc) if each is not None]
            until = max(ends, default=None)
    # Who certified another key under his own name answers for it with that very key (RFC 5280 6.1.4, self-issued).
    if told or signer.subject.dump() == certifier.subject.dump():
        yield _Signer(signer, until)


def _may_sign(signer: x509.Certificate, *, must_say: bool) -> bool:
    usage = signer.key_usage_value
    if usage is None:
        return not must_say
    return "crl_sign" in usage.native


def _in_term(signer: x509.Certificate, crl: asn1_crl.CertificateList) -> bool:
    validity, made = signer["tbs_certificate"]["validity"], crl["tbs_cert_list"]["this_update"].native
    return bool(validity["not_before"].native <= made <= validity["not_after"].native)


def _has_signed(crl: asn1_crl.CertificateList, signer: x509.Certificate) -> bool:
    # RFC 5280 5.1.1.2: both name the same algorithm.
    if crl["signature_algorithm"].dump() != crl["tbs_cert_list"]["signature"].dump():
        return False
    try:
        check_value(crl["signature"].native, crl["tbs_cert_list"].dump(), signer.public_key, crl["signature_algorithm"])
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a key or algorithm that cannot be used has signed nothing
        return False
    return True


def _point_naming(certificate: x509.Certificate, crl_issuer: x509.Name) -> x509.DistributionPoint | None:
    """The certificate's distribution point whose cRLIssuer is this one (RFC 5280 4.2.1.13)."""
    for point in certificate.crl_distribution_points_value or ():
        for name in point["crl_issuer"] or ():
            if name.name == "directory_name" and name.chosen.untag().dump() == crl_issuer.dump():
                return point
    return None


def _speaks_of(
    scope: pyca_x509.IssuingDistributionPoint,
    place: Position,
    named: x509.DistributionPoint | None,
    crl_issuer: pyca_x509.Name,
) -> bool:
    """RFC 5280 6.3.3 (b)(2)."""
    if scope.only_contains_attribute_certs or scope.only_some_reasons:
        return False
    is_ca = bool(place.certificate.ca)
    if (scope.only_contains_user_certs and is_ca) or (scope.only_contains_ca_certs and not is_ca):
        return False
    if named is not None and named["reasons"].native:
        return False  # only a part of the reasons would be told
    return _is_same_point(scope, place, crl_issuer, own_name=named is None)


def _is_same_point(
    scope: pyca_x509.IssuingDistributionPoint, place: Position, crl_issuer: pyca_x509.Name, *, own_name: bool
) -> bool:
    """6.3.3 (b)(2)(i): a list of one distribution point speaks only of certificates that name the point.

    Otherwise a list of a few certificates would vouch for all others of the same authority.
    """
    if scope.full_name is None and scope.relative_name is None:
        return True
    ours = _point_names(scope.full_name, scope.relative_name, crl_issuer)
    extensions = pyca_x509.load_der_x509_certificate(place.certificate.dump()).extensions
    try:
        points = extensions.get_extension_for_class(pyca_x509.CRLDistributionPoints).value
    except pyca_x509.ExtensionNotFound:
        return False
    fitting = (point for point in points if _names_issuer(point, crl_issuer, own_name=own_name))
    return any(ours & _names_of(point, crl_issuer) for point in fitting)


def _names_issuer(point: pyca_x509.DistributionPoint, crl_issuer: pyca_x509.Name, *, own_name: bool) -> bool:
    """6.3.3 (b)(1): the list is of the point's cRLIssuer, or of the certificate's issuer where the point names none."""
    if point.crl_issuer is None:
        return own_name
    return pyca_x509.DirectoryName(crl_issuer) in point.crl_issuer


def _names_of(point: pyca_x509.DistributionPoint, crl_issuer: pyca_x509.Name) -> set[pyca_x509.GeneralName]:
    """Where a point has no name of its own, its cRLIssuer stands for it."""
    if point.full_name is None and point.relative_name is None:
        return set(point.crl_issuer or ())
    return _point_names(point.full_name, point.relative_name, crl_issuer)


def _point_names(
    full: Sequence[pyca_x509.GeneralName] | None,
    relative: pyca_x509.RelativeDistinguishedName | None,
    crl_issuer: pyca_x509.Name,
) -> set[pyca_x509.GeneralName]:
    if full is not None:
        return set(full)
    return set() if relative is None else {pyca_x509.DirectoryName(pyca_x509.Name([*crl_issuer.rdns, relative]))}


def _indirect_entry(
    parsed: pyca_x509.CertificateRevocationList, crl: asn1_crl.CertificateList, place: Position
) -> pyca_x509.RevokedCertificate | None:
    """RFC 5280 5.3.3: an entry belongs to the issuer that it names, else to that of the entry before, the first to the list's own."""
    if len(parsed) > _MOST_INDIRECT_ENTRIES:
        raise ValueError("an indirect list of too many entries")
    wanted = place.certificate.issuer.dump()
    current = crl.issuer.dump()
    found = None
    for entry in parsed:
        try:
            names = entry.extensions.get_extension_for_class(pyca_x509.CertificateIssuer).value
            current = next(name.value.public_bytes() for name in names if isinstance(name, pyca_x509.DirectoryName))
        except pyca_x509.ExtensionNotFound:
            pass
        if current == wanted and entry.serial_number == place.certificate.serial_number:
            found = entry
    return found


def _completed(delta: _Read, read: Sequence[_Read]) -> Iterator[CrlFacts]:
    """A delta with each complete list that it goes on from (RFC 5280 5.2.4, 6.3.3 (c)); alone it says nothing."""
    assert delta.base is not None
    for complete in read:
        fits = (
            complete.base is None
            and complete.number is not None
            and delta.number is not None
            and delta.base <= complete.number < delta.number
            and complete.scope == delta.scope
            and complete.signer == delta.signer
            and complete.listed.crl.issuer.dump() == delta.listed.crl.issuer.dump()
        )
        if fits:
            # It counts as a part of the file only when both stand there, and for as strong as the weaker of both.
            source = complete.listed.source if delta.listed.source == "embedded" else delta.listed.source
            digests = [each for each in (_digest_of(delta), _digest_of(complete)) if each is not None]
            weaker = min(digests, key=_strength, default=None)
            yield _facts(delta, delta.entry or complete.entry, source, weaker)


def _strength(digest: str) -> int:
    return hashlib.new(digest.replace("-", "_"), usedforsecurity=False).digest_size


def _digest_of(read: _Read) -> str | None:
    digest = scheme_of(read.listed.crl["signature_algorithm"]).digest
    return None if digest is None else digest.replace("_", "-")


def _facts(read: _Read, entry: pyca_x509.RevokedCertificate | None, source: Source, digest: str | None) -> CrlFacts:
    this_update = read.parsed.last_update_utc
    # What a list says is known as long as its signer is known to be good.
    next_update = min((each for each in (read.parsed.next_update_utc, read.until) if each is not None), default=None)
    if entry is None:
        return CrlFacts(this_update, next_update, None, None, source, digest=digest)
    return CrlFacts(this_update, next_update, entry.revocation_date_utc, _reason(entry), source, digest=digest)


def _reason(entry: pyca_x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(pyca_x509.CRLReason).value.reason.value
    except pyca_x509.ExtensionNotFound:
        return pyca_x509.ReasonFlags.unspecified.value
