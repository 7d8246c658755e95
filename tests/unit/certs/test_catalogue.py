"""Profiles are files; a file that is wrong is refused with its key, and a request that does not fit is refused too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from certs.catalogue import parse_profile, read_catalogue
from certs.errors import (
    CommonNameNotInSan,
    EmailInSubject,
    KeySpecRefused,
    ProfileInvalid,
    ProfileUnknown,
    RegistrationIncomplete,
    SanRefused,
    SubjectAttributeMissing,
    SubjectAttributeRefused,
    TableKeyUnknown,
    TableUnreadable,
    TableValueWrong,
    TaxCodeWrong,
    UidRefused,
    ValidityRefused,
)
from certs.names import parse_subject
from certs.profile import (
    Usage,
    check_common_name,
    check_key_spec,
    check_profile,
    check_registration,
    check_san,
    check_subject,
    decide_validity,
)
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
    names = {"root", "issuing", "ocsp-responder", "tsa", "agency-seal", "officer", "citizen", "kiosk", "system"}
    names |= {"tls-server", "receipt", "trust-store"}
    assert {profile.name for profile in catalogue} == names


def test_terms_are_twenty_ten_five_and_two_years(catalogue):
    years = {profile.name: round(profile.validity_days / 365.25) for profile in catalogue}
    del years["ocsp-responder"]
    people = {"agency-seal": 2, "receipt": 2, "officer": 2, "citizen": 2}
    services = {"tsa": 5, "trust-store": 5, "kiosk": 1, "system": 1, "tls-server": 1}
    assert years == {"root": 20, "issuing": 10} | services | people


def test_a_responder_whose_revocation_nobody_asks_for_ends_within_a_quarter(catalogue):
    responder = catalogue.get("ocsp-responder")
    assert responder.ocsp_no_check
    assert responder.validity_days <= 92


def test_signers_may_do_nothing_but_sign_documents(catalogue):
    for name in ("agency-seal", "officer", "citizen"):
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
        ('san = ["dns"]', "approvals = -1"),
        ('san = ["dns"]', 'registration = ["OU"]'),
        ('san = ["dns"]', 'san = ["dns"]\ncommon_name_in_san = true'),
        ('san = ["dns"]', 'policies = ["1.2", "1.2"]'),
        ('san = ["dns"]', 'policies = ["our own"]'),
        ('"1.2.3.4"', '"serverAuth"'),
        ('required = ["CN"]', 'required = ["CN", "emailAddress"]'),
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


def test_common_name_organisation_and_country_are_all_that_must_be_typed(catalogue):
    asked = {profile.name: set(profile.subject.required) for profile in catalogue}
    assert asked.pop("citizen") == {"CN", "C"}
    assert asked.pop("tls-server") == {"C"}
    assert all(required == {"CN", "O", "C"} for required in asked.values())


@pytest.mark.parametrize("name", ["officer", "citizen", "agency-seal", "kiosk"])
def test_an_address_in_the_subject_is_sent_to_the_alternative_names(catalogue, name):
    organization = "" if name == "citizen" else "O=b,"
    with pytest.raises(EmailInSubject):
        check_subject(catalogue.get(name), parse_subject(f"CN=a,emailAddress=a@b.vn,{organization}C=VN"))


def test_a_pseudonym_stands_in_the_place_of_the_names(catalogue):
    check_subject(catalogue.get("citizen"), parse_subject("CN=a,pseudonym=a,C=VN"))
    with pytest.raises(SubjectAttributeRefused):
        check_subject(catalogue.get("citizen"), parse_subject("CN=a,pseudonym=a,GN=b,C=VN"))


@pytest.mark.parametrize("profile", ["agency-seal", "kiosk", "system"])
def test_a_citizens_number_has_no_place_where_no_person_is_named(catalogue, profile):
    with pytest.raises(UidRefused) as refused:
        check_subject(catalogue.get(profile), parse_subject("CN=a,UID=CCCD:012345678901,O=b,C=VN"))
    assert refused.value.facts == {"profile": profile, "uid": "CCCD", "allowed": "MST, MNS"}


def test_a_registration_for_real_use_needs_more_and_the_refusal_says_how_to_write_it(catalogue):
    seal = catalogue.get("agency-seal")
    subject = parse_subject("CN=a,UID=MST:0012345672,O=b,C=VN")
    check_subject(seal, subject)
    with pytest.raises(RegistrationIncomplete) as refused:
        check_registration(seal, subject)
    assert refused.value.facts["missing"] == "organizationIdentifier"
    assert refused.value.facts["write"] == "organizationIdentifier=VATVN-0012345672"
    check_registration(seal, parse_subject(f"{refused.value.facts['write']},{subject}"))


def test_a_demonstration_may_bear_a_tax_code_that_nobody_has_and_a_registration_not(catalogue):
    subject = parse_subject("CN=a,UID=MST:0000000000,organizationIdentifier=VATVN-0000000000,O=b,C=VN")
    check_subject(catalogue.get("agency-seal"), subject)
    with pytest.raises(TaxCodeWrong):
        check_registration(catalogue.get("agency-seal"), subject)


def test_an_officers_registration_has_names_title_and_number(catalogue):
    with pytest.raises(RegistrationIncomplete) as refused:
        check_registration(catalogue.get("officer"), parse_subject("CN=a,UID=CCCD:012345678901,O=b,C=VN"))
    assert refused.value.facts["missing"] == "SN, GN, T, serialNumber"
    assert refused.value.facts["write"].endswith("serialNumber=IDCVN-012345678901")


def test_every_example_of_a_registration_is_accepted_once_it_is_typed(catalogue):
    for profile in catalogue:
        typed = ",".join(f"{attribute}={'VN' if attribute == 'C' else 'a'}" for attribute in profile.subject.required)
        try:
            check_registration(profile, parse_subject(typed))
        except RegistrationIncomplete as refused:
            typed = f"{refused.facts['write'].replace('…', 'b')},{typed}"
        check_subject(profile, parse_subject(typed))
        check_registration(profile, parse_subject(typed))


def test_the_policy_of_the_installation_stands_where_the_profile_asks_for_it():
    assert read_catalogue(policy="1.3.6.1.4.1.99999.1").get("officer").policies == ("1.3.6.1.4.1.99999.1",)
    assert read_catalogue().get("officer").policies == ()
    assert read_catalogue().get("issuing").policies == ("2.5.29.32.0",)


def test_an_exception_from_the_second_opinion_needs_its_reason():
    excepted = 'lint_exceptions = [{code = "pkix.x", reason = "the reader of 2010 wants it"}]\n'
    profile = parse_profile("kiosk", excepted + KIOSK, "kiosk.toml")
    assert [each.code for each in profile.lint_exceptions] == ["pkix.x"]
    with pytest.raises(TableValueWrong):
        parse_profile("kiosk", excepted.replace("the reader of 2010 wants it", " ") + KIOSK, "kiosk.toml")


@pytest.mark.parametrize(
    "value",
    ["", "-a.vn", "a-.vn", "a..vn", "a.vn.", "*.a.vn", "a_b.vn", "127.0.0.1", "việt.vn", f"{'a' * 64}.vn", "a" * 254, "a\0.vn"],
)  # fmt: skip
def test_what_is_no_host_name_is_no_name_of_a_server(catalogue, value):
    server = catalogue.get("tls-server")
    check_san(server, ["dichvucong.huonggiang.example", "xn--vit-jma.vn"])
    with pytest.raises(SanRefused):
        check_san(server, [value])


def test_a_server_has_a_name_each_once_and_its_common_name_is_one_of_them(catalogue):
    server = catalogue.get("tls-server")
    with pytest.raises(SanRefused):
        check_san(server, [])
    with pytest.raises(SanRefused):
        check_san(server, ["a.vn", "a.vn"])
    check_common_name(server, parse_subject("CN=a.vn,C=VN"), ["b.vn", "a.vn"])
    check_common_name(server, parse_subject("O=a,C=VN"), ["b.vn"])
    with pytest.raises(CommonNameNotInSan):
        check_common_name(server, parse_subject("CN=A.vn,C=VN"), ["a.vn"])


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
