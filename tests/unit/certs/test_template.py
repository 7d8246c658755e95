"""What is signed has the octets that `cryptography`'s builder would write, whatever profile, subject, names, issuer and key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from certs.catalogue import read_catalogue
from certs.errors import NameRefused
from certs.names import NameEntry, SubjectName, build_name, rfc4514
from certs.oids import SUBJECT_ATTRIBUTES
from certs.profile import Validity
from certs.template import IssuerFacts, build_tbs, key_identifier
from hsm.spec import spki_der
from pki.schemes import Scheme, scheme_for
from tests.reference_certificate import build_certificate

PROFILES = tuple(read_catalogue(policy="1.3.6.1.4.1.99999.1"))
KEYS = (
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP384R1()),
    rsa.generate_private_key(public_exponent=65537, key_size=2048),
)
_WRITTEN = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.sampled_from(' \\",+;<>#='), min_size=1, max_size=64
)
_ASCII = st.text(st.sampled_from("AZaz09 '()+,-./:=?"), min_size=1, max_size=64)
_VALUES = {"C": st.sampled_from(["VN", "KR"]), "serialNumber": _ASCII, "emailAddress": _ASCII}


@st.composite
def subjects(draw: st.DrawFn) -> SubjectName:
    attributes = draw(st.lists(st.sampled_from(sorted(SUBJECT_ATTRIBUTES)), min_size=1, max_size=6, unique=True))
    entries = tuple(NameEntry(name, draw(_VALUES.get(name, _WRITTEN))) for name in attributes)
    try:
        return SubjectName(entries)
    except NameRefused:
        return SubjectName((NameEntry("CN", "Trung tâm"),))


_SANS = st.lists(st.sampled_from(["a.pki.example", "b.pki.example", "an@pki.example"]), max_size=3, unique=True)
_BEGINS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1))  # noqa: DTZ001  a zone is added


@given(
    st.sampled_from(PROFILES), subjects(), subjects(), st.sampled_from(KEYS), st.sampled_from(KEYS), _SANS,
    st.integers(1 << 158, (1 << 159) - 1), _BEGINS, st.sampled_from([0, 3]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_the_octets_are_the_builders(
    profile, subject, issuer_name, key, issuer_key, san, serial, begins, partitions, deltas, responder
):  # fmt: skip
    url = "http://pki.example"
    issuer = IssuerFacts(
        build_name(issuer_name), key_identifier(spki_der(issuer_key.public_key())), None, f"{url}/crl/i.crl",
        f"{url}/ca/i.cer", f"{url}/ocsp" if responder else None, partitions, f"{url}/crl/i/s/{{shard}}.crl", deltas,
    )  # fmt: skip
    start = begins.replace(microsecond=0, tzinfo=UTC)
    validity = Validity(start, start + timedelta(days=731))
    wanted = build_certificate(
        profile, subject, key.public_key(), issuer, serial=serial, validity=validity, san=san
    )  # fmt: skip
    scheme = scheme_for(issuer_key.public_key())
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    signed = wanted.sign(issuer_key, scheme.hash, rsa_padding=pss if scheme is Scheme.PSS_SHA256 else None)
    tbs = build_tbs(
        profile, subject, spki_der(key.public_key()), issuer,
        serial=serial, validity=validity, algorithm=scheme.algorithm_identifier(), san=san,
    )  # fmt: skip
    assert tbs == signed.tbs_certificate_bytes


@given(subjects())
def test_a_subject_is_written_like_its_name(subject):
    name = build_name(subject)
    assert subject.der == name.public_bytes()
    assert str(subject) == rfc4514(name)


@pytest.mark.parametrize("value", ["#a", " a", "a ", 'a"b', "a\\b", "a+b", "a,b", "a;b", "a<b", "a>b", "a=b", "ă # ơ"])
def test_what_has_to_be_escaped_is(value):
    subject = SubjectName((NameEntry("C", "VN"), NameEntry("CN", value)))
    assert str(subject) == rfc4514(build_name(subject))
