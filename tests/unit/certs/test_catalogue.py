"""Profiles are files; a file that is wrong is refused with its key, and a request that does not fit is refused too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from certs.catalogue import parse_profile, read_catalogue
from certs.errors import (
    KeySpecRefused,
    ProfileInvalid,
    ProfileUnknown,
    SanRefused,
    SubjectAttributeMissing,
    SubjectAttributeRefused,
    TableKeyUnknown,
    TableUnreadable,
    TableValueWrong,
    ValidityRefused,
)
from certs.names import parse_subject
from certs.profile import Usage, check_key_spec, check_profile, check_san, check_subject, decide_validity
from hsm.spec import KeySpec

NOW = datetime(2026, 11, 21, 3, 0, 0, 5, tzinfo=UTC)
KIOSK = """
description = "Kiosk"
issued_by = ["issuing"]
validity_days = 90
keys = ["p-256"]
key_usage = ["digitalSignature"]
extended_key_usage = ["clientAuth", "1.2.3.4"]
san = ["dns"]
[subject]
required = ["CN"]
"""


@pytest.fixture(scope="module")
def catalogue():
    return read_catalogue()


def test_the_shipped_profiles_are_there(catalogue):
    names = {"root", "issuing", "agency-seal", "officer", "ocsp-responder", "tsa"}
    assert {profile.name for profile in catalogue} == names


def test_terms_are_twenty_ten_five_and_two_years(catalogue):
    years = {profile.name: round(profile.validity_days / 365.25) for profile in catalogue}
    del years["ocsp-responder"]
    assert years == {"root": 20, "issuing": 10, "agency-seal": 2, "officer": 2, "tsa": 5}


def test_a_responder_whose_revocation_nobody_asks_for_ends_within_a_quarter(catalogue):
    responder = catalogue.get("ocsp-responder")
    assert responder.ocsp_no_check
    assert responder.validity_days <= 92


def test_signers_may_do_nothing_but_sign_documents(catalogue):
    for name in ("agency-seal", "officer"):
        assert catalogue.get(name).key_usage == (Usage.NON_REPUDIATION,)


def test_a_new_kind_of_certificate_is_a_file_and_no_code(tmp_path):
    (tmp_path / "kiosk.toml").write_text(KIOSK, "utf-8")
    assert read_catalogue(tmp_path).get("kiosk").extended_key_usage == ("clientAuth", "1.2.3.4")


def test_a_missing_profile_names_the_nearest(catalogue):
    with pytest.raises(ProfileUnknown) as refused:
        catalogue.get("oficer")
    assert refused.value.facts["nearest"] == "officer"


def test_an_unknown_key_in_a_profile_names_file_key_and_nearest(tmp_path):
    (tmp_path / "kiosk.toml").write_text("validity_day = 3\n" + KIOSK, "utf-8")
    with pytest.raises(TableKeyUnknown) as refused:
        read_catalogue(tmp_path)
    assert refused.value.facts["where"] == "kiosk.toml"
    assert refused.value.facts["key"] == "validity_day"
    assert refused.value.facts["nearest"] == "validity_days"


def test_a_profile_that_is_not_text_is_refused_with_its_name(tmp_path):
    (tmp_path / "kiosk.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TableUnreadable) as refused:
        read_catalogue(tmp_path)
    assert refused.value.facts["where"] == "kiosk.toml"


def test_a_profile_issued_by_nobody_known_is_refused(tmp_path):
    (tmp_path / "kiosk.toml").write_text(KIOSK.replace('"issuing"', '"isuing"'), "utf-8")
    with pytest.raises(ProfileUnknown) as refused:
        read_catalogue(tmp_path)
    assert refused.value.facts["nearest"] == "issuing"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("validity_days = 90", "validity_days = 0"),
        ('keys = ["p-256"]', "keys = []"),
        ('key_usage = ["digitalSignature"]', "key_usage = []"),
        ('key_usage = ["digitalSignature"]', 'key_usage = ["keyCertSign"]'),
        ('key_usage = ["digitalSignature"]', 'key_usage = ["digitalSignature"]\nauthority = true'),
        ('key_usage = ["digitalSignature"]', 'key_usage = ["digitalSignature"]\npath_length = 1'),
        (
            'key_usage = ["digitalSignature"]',
            'key_usage = ["digitalSignature", "nonRepudiation"]\nsigns_documents = true',
        ),
        ('issued_by = ["issuing"]', 'issued_by = ["self"]'),
        ('"1.2.3.4"', '"clientauth"'),
        ('san = ["dns"]', "san_required = true"),
        ('san = ["dns"]', "ocsp_no_check = true"),
        ('["clientAuth", "1.2.3.4"]', '["timeStamping"]'),
        ('["clientAuth", "1.2.3.4"]', '["timeStamping", "clientAuth"]\nextended_key_usage_critical = true'),
    ],
)
def test_a_profile_that_contradicts_the_standard_is_refused(old, new):
    assert old in KIOSK
    with pytest.raises(ProfileInvalid):
        check_profile(parse_profile("kiosk", KIOSK.replace(old, new), "kiosk.toml"))


def test_a_subject_rule_knows_only_attributes_that_we_write():
    with pytest.raises(TableValueWrong):
        parse_profile("kiosk", KIOSK.replace('required = ["CN"]', 'required = ["DC"]'), "kiosk.toml")


def test_a_subject_needs_what_the_profile_requires(catalogue):
    with pytest.raises(SubjectAttributeMissing) as refused:
        check_subject(catalogue.get("officer"), parse_subject("CN=a,C=VN"))
    assert refused.value.facts == {"profile": "officer", "attribute": "O"}


def test_a_seal_has_no_title(catalogue):
    check_subject(catalogue.get("officer"), parse_subject("CN=a,T=b,O=c,C=VN"))
    with pytest.raises(SubjectAttributeRefused) as refused:
        check_subject(catalogue.get("agency-seal"), parse_subject("CN=a,T=b,O=c,C=VN"))
    assert refused.value.facts["attribute"] == "T"


def test_authorities_have_no_rsa_2048_and_leaves_may(catalogue):
    check_key_spec(catalogue.get("officer"), KeySpec.RSA_2048)
    for name in ("root", "issuing"):
        with pytest.raises(KeySpecRefused):
            check_key_spec(catalogue.get(name), KeySpec.RSA_2048)


@pytest.mark.parametrize("value", ["kiosk.example", "a@việt.example", "a b@c.example"])
def test_a_seals_alternative_name_is_an_ascii_address(catalogue, value):
    check_san(catalogue.get("agency-seal"), ["vanthu@huonggiang.example"])
    with pytest.raises(SanRefused):
        check_san(catalogue.get("agency-seal"), [value])


def test_validity_is_whole_seconds_from_now_for_the_term(catalogue):
    validity = decide_validity(catalogue.get("officer"), NOW, None)
    assert validity.not_before == NOW.replace(microsecond=0)
    assert validity.not_after - validity.not_before == timedelta(days=731)


def test_validity_ends_with_the_issuer_at_the_latest(catalogue):
    end = NOW.replace(microsecond=0) + timedelta(days=10)
    assert decide_validity(catalogue.get("officer"), NOW, end).not_after == end
    with pytest.raises(ValidityRefused):
        decide_validity(catalogue.get("officer"), NOW, NOW)


def test_validity_can_be_shortened_and_never_lengthened(catalogue):
    officer = catalogue.get("officer")
    assert decide_validity(officer, NOW, None, days=3).not_after == NOW.replace(microsecond=0) + timedelta(days=3)
    for days in (0, -1, 732):
        with pytest.raises(ValidityRefused):
            decide_validity(officer, NOW, None, days=days)
