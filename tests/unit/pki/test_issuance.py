"""One certificate is decided, linted, stored, signed, compared and recorded, and a death anywhere leaves no secret one."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import text

from certs.catalogue import read_catalogue
from certs.db import Database
from certs.errors import (
    DatabaseUnavailable,
    KeySpecRefused,
    KeyWeak,
    LintFailed,
    LintUnavailable,
    ProfileUnknown,
    SanRefused,
    SubjectAttributeRefused,
    ValidityRefused,
)
from certs.inventory import State
from certs.lint.second_opinion import SecondOpinion
from certs.names import common_name, parse_subject, rfc4514, subject_of
from certs.search import CertificateQuery, search
from hsm.errors import SigningFailed
from hsm.handles import sign_only_key
from hsm.spec import KeySpec, Purpose, spki_der
from pki.audit import list_acts
from pki.errors import IssuerMayNotIssue, IssuerNotGood, SignedOtherBytes
from pki.issuance import IssuanceRequest, TwinKeys, issue
from tests.world import ADMIN, AGENCY, OFFICER_SUBJECT, PUBLIC_URL, SEAL_SUBJECT, build_world


def request(world, profile="agency-seal", subject=SEAL_SUBJECT, **more) -> IssuanceRequest:
    ref = world.keys.generate(KeySpec.P_256, "leaf", Purpose.DOCUMENT)
    return IssuanceRequest(profile, parse_subject(subject), ref.public_key_der, **more)


def with_issuer_key(world, key):
    return replace(world.issuing_deps, issuer=replace(world.issuing, key=key))


def all_records(world):
    with world.database.read() as session:
        return search(session, world.clock.now(), CertificateQuery(issuer="issuing"))


class KeyThatSignsOtherBytes(ec.EllipticCurvePrivateKey):
    """A token gone mad: it signs, but not what it was given."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())

    def sign(self, data, signature_algorithm):
        return self._key.sign(bytes(data) + b"!", signature_algorithm)

    def public_key(self):
        return self._key.public_key()

    curve = property(lambda self: self._key.curve)
    key_size = property(lambda self: self._key.key_size)

    def exchange(self, algorithm, peer_public_key):
        raise NotImplementedError

    def private_numbers(self):
        raise NotImplementedError

    def private_bytes(self, encoding, format, encryption_algorithm):  # noqa: A002
        raise NotImplementedError

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def dying_key(world):
    def die(*_args):
        raise SigningFailed("the token is gone", rv="CKR_DEVICE_REMOVED")

    return sign_only_key(world.issuing.certificate.public_key(), die)


def test_an_issued_certificate_says_what_was_confirmed(world):
    record = world.seal().record
    certificate = record.certificate()
    certificate.verify_directly_issued_by(world.issuing.certificate)
    assert rfc4514(subject_of(certificate)) == SEAL_SUBJECT == record.subject
    assert (record.state, record.issuer, record.profile) == (State.ACTIVE, "issuing", "agency-seal")
    assert (record.common_name, record.organization) == (AGENCY, AGENCY)
    assert f"{certificate.serial_number:x}" == record.serial
    assert (certificate.not_valid_before_utc, certificate.not_valid_after_utc) == (record.not_before, record.not_after)
    assert record.tbs == certificate.tbs_certificate_bytes


def test_certificates_point_to_crl_ocsp_and_issuer_by_the_public_url(world):
    extensions = world.seal().record.certificate().extensions
    points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert points[0].full_name[0].value == f"{PUBLIC_URL}/crl/issuing.crl"
    access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert [a.access_location.value for a in access] == [f"{PUBLIC_URL}/ocsp", f"{PUBLIC_URL}/ca/issuing.cer"]


def test_a_signers_key_usage_is_non_repudiation_alone(world):
    usage = world.officer().record.certificate().extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.content_commitment
    assert not usage.value.digital_signature


def test_alternative_names_are_written_where_the_profile_allows(world):
    record = issue(request(world, san=["vanthu@huonggiang.example"]), ADMIN, world.issuing_deps)
    names = record.certificate().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == ["vanthu@huonggiang.example"]
    with pytest.raises(SanRefused):
        issue(request(world, san=["huonggiang.example"]), ADMIN, world.issuing_deps)


@pytest.mark.parametrize("spec", list(KeySpec))
def test_leaves_may_have_any_kind_of_key(world, spec):
    assert world.officer(spec=spec).record.state is State.ACTIVE


def test_intent_and_issue_are_audited_with_their_actor(world):
    serial = world.seal().record.serial
    with world.database.read() as session:
        acts = list_acts(session, subject_id=serial)
    assert [(act.action, act.actor) for act in acts] == [
        ("certificate.intend", ADMIN.name),
        ("certificate.issue", ADMIN.name),
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"profile": "agency-sael"}, ProfileUnknown),
        ({"profile": "issuing"}, IssuerMayNotIssue),
        ({"subject": parse_subject(OFFICER_SUBJECT)}, SubjectAttributeRefused),
        ({"days": 4000}, ValidityRefused),
        ({"public_key_der": spki_der(ec.generate_private_key(ec.SECP521R1()).public_key())}, KeyWeak),
        (
            {"public_key_der": spki_der(rsa.generate_private_key(public_exponent=65537, key_size=2056).public_key())},
            KeySpecRefused,
        ),
    ],
)
def test_a_refusal_comes_before_anything_is_stored_or_signed(world, change, error):
    deps = with_issuer_key(world, dying_key(world))
    with pytest.raises(error):
        issue(replace(request(world), **change), ADMIN, deps)
    assert all_records(world) == []


def test_a_certificate_that_breaks_a_rule_is_never_signed_or_stored(world):
    # A public URL that is no HTTP address goes through the profile and is stopped by the lint.
    deps = replace(
        world.issuing_deps, issuer=replace(world.issuing, public_url="ftp://pki.example", key=dying_key(world))
    )
    with pytest.raises(LintFailed) as refused:
        issue(request(world), ADMIN, deps)
    assert refused.value.facts["rules"] == "pointers_are_the_profiles"
    assert all_records(world) == []


@pytest.mark.parametrize("program", ["", "print('no linter')", "import os; os.kill(os.getpid(), 9)"])
def test_without_a_second_opinion_on_a_new_shape_nothing_is_signed_or_stored(world, program):
    deps = with_issuer_key(world, dying_key(world))
    with pytest.raises(LintUnavailable):
        issue(request(world), ADMIN, replace(deps, twins=TwinKeys(SecondOpinion(child=("-c", program)))))
    assert all_records(world) == []


def test_what_breaks_rfc_5280_beyond_our_own_rules_is_never_signed_or_stored(world):
    # An object identifier with an arc of 128 bits: allowed by X.660, and more than many readers take.
    deps = replace(with_issuer_key(world, dying_key(world)), catalogue=read_catalogue(policy=f"2.25.{2**127}"))
    with pytest.raises(LintFailed) as refused:
        issue(request(world), ADMIN, deps)
    assert refused.value.facts["rules"] == "itu.invalid_asn1_syntax"
    assert all_records(world) == []


def test_death_between_intent_and_signature_leaves_a_revocable_intent(world):
    with pytest.raises(SigningFailed):
        issue(request(world), ADMIN, with_issuer_key(world, dying_key(world)))
    (intent,) = all_records(world)
    assert (intent.state, intent.der) == (State.INTENT, None)
    assert len(intent.tbs) > 300
    assert world.revoke(intent.serial, "cessationOfOperation").state is State.REVOKED
    _, crl = world.crls()
    listed = x509.load_der_x509_crl(crl.der).get_revoked_certificate_by_serial_number(int(intent.serial, 16))
    assert listed is not None


def test_a_key_that_signs_other_bytes_is_caught_and_the_intent_stays(world):
    with pytest.raises(SignedOtherBytes) as refused:
        issue(request(world), ADMIN, with_issuer_key(world, KeyThatSignsOtherBytes()))
    (intent,) = all_records(world)
    assert (intent.state, intent.serial) == (State.INTENT, refused.value.facts["serial"])


def test_threads_that_issue_at_once_get_serials_of_their_own(world):
    records, errors = [], []

    def work():
        try:
            records.extend(world.seal().record for _ in range(8))
        except Exception as error:  # noqa: BLE001  shown below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({record.serial for record in records}) == 24
    assert {record.serial for record in all_records(world)} == {record.serial for record in records}


def test_a_locked_database_refuses_before_the_key_is_used(world):
    impatient = Database(world.database.url, busy_timeout=0.1)
    deps = replace(with_issuer_key(world, dying_key(world)), database=impatient)
    prepared = request(world)
    with world.database.write() as session:
        if world.database.url.get_backend_name() == "postgresql":
            # A writer keeps the others out of an SQLite file; on a server he has to ask for that.
            session.execute(text("LOCK TABLE certificates IN EXCLUSIVE MODE"))
        with pytest.raises(DatabaseUnavailable) as refused:
            issue(prepared, ADMIN, deps)
    assert refused.value.facts == {"reason": "locked"}
    impatient.close()


def test_a_leaf_ends_with_its_issuer_at_the_latest(world):
    world.clock.advance(days=3653 - 100)
    assert world.seal().record.not_after == world.issuing.certificate.not_valid_after_utc


def test_an_expired_or_revoked_authority_issues_nothing(world):
    world.revoke(world.issuing.serial, "cACompromise")
    with pytest.raises(IssuerNotGood) as refused:
        world.seal()
    assert refused.value.facts == {"authority": "issuing", "state": "revoked"}


def test_an_authority_past_its_end_issues_nothing(world):
    world.clock.advance(days=3654)
    with pytest.raises(IssuerNotGood) as refused:
        world.seal()
    assert refused.value.facts["state"] == "expired"


def test_a_shorter_term_can_be_asked_for(world):
    record = issue(request(world, days=30), ADMIN, world.issuing_deps)
    assert record.not_after - record.not_before == timedelta(days=30)


def test_an_rsa_authority_issues_with_pss(tmp_path):
    world = build_world(tmp_path, root_spec=KeySpec.RSA_3072, issuing_spec=KeySpec.RSA_3072)
    certificate = world.seal().record.certificate()
    certificate.verify_directly_issued_by(world.issuing.certificate)
    assert certificate.signature_algorithm_oid.dotted_string == "1.2.840.113549.1.1.10"
    assert common_name(subject_of(certificate)) == AGENCY
    world.close()
