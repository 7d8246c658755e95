"""Names go in as people write them and come out of a certificate letter for letter."""

from __future__ import annotations

import unicodedata
from datetime import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from certs.errors import (
    NameAttributeRepeated,
    NameAttributeUnknown,
    NameCharacterRefused,
    NameCountryWrong,
    NameEmpty,
    NameMalformed,
    NameMultivalued,
    NameRefused,
    NameTooLong,
)
from certs.names import (
    SubjectName,
    build_name,
    common_name,
    issuer_of,
    organization,
    parse_name,
    parse_subject,
    rfc4514,
    subject_name,
    subject_of,
)

AGENCY = "TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG THÀNH PHỐ HƯƠNG GIANG"
LONGEST = AGENCY + " " + "Ộ" * (64 - len(AGENCY) - 1)


def certificate_of(subject: SubjectName) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = build_name(subject)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, datetime(2026, 1, 1), datetime(2027, 1, 1))  # noqa: DTZ001
    der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    return x509.load_der_x509_certificate(der)


def test_sixty_four_vietnamese_characters_survive_a_certificate_without_a_warning():
    assert len(LONGEST) == 64
    assert len(LONGEST.encode()) > 64
    certificate = certificate_of(parse_subject(f"CN={LONGEST},O={AGENCY},C=VN"))
    assert common_name(subject_of(certificate)) == LONGEST
    assert organization(issuer_of(certificate)) == AGENCY
    assert rfc4514(subject_of(certificate)) == f"CN={LONGEST},O={AGENCY},C=VN"


def test_sixty_five_characters_are_refused_with_length_and_limit():
    with pytest.raises(NameTooLong) as refused:
        parse_subject(f"CN={LONGEST}Ộ,O=a,C=VN")
    assert refused.value.facts == {"attribute": "CN", "length": "65", "limit": "64"}


@pytest.mark.parametrize("attribute", ["O", "OU", "T"])
def test_organisation_unit_and_title_have_the_same_limit(attribute):
    parse_subject(f"{attribute}={'ơ' * 64}")
    with pytest.raises(NameTooLong):
        parse_subject(f"{attribute}={'ơ' * 65}")


def test_decomposed_letters_become_the_composed_ones():
    decomposed = unicodedata.normalize("NFD", AGENCY)
    assert decomposed != AGENCY
    assert parse_subject(f"CN={decomposed}").common_name == AGENCY


def test_text_runs_from_the_specific_and_a_certificate_from_the_country():
    name = parse_subject("CN=a,OU=b,O=c,C=VN")
    assert [entry.attribute for entry in name.entries] == ["C", "O", "OU", "CN"]
    assert str(name) == "CN=a,OU=b,O=c,C=VN"


def test_several_uids_keep_their_order():
    name = parse_subject("CN=a,UID=MST:0400000001,UID=MNS:1000001,C=VN")
    assert name.values("UID") == ("MST:0400000001", "MNS:1000001")
    assert rfc4514(subject_of(certificate_of(name))) == "CN=a,UID=MST:0400000001,UID=MNS:1000001,C=VN"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"CN=a\, b", "a, b"),
        (r"CN=a\+b", "a+b"),
        (r"CN=\#1", "#1"),
        (r"CN=Gi\E1\BA\A5y", "Giấy"),
        (r"CN=a=b", "a=b"),
        ("CN =  a b ", "a b"),
        (r"CN=C:\\x", "C:\\x"),
        ("cn=x", "x"),
        ("2.5.4.3=x", "x"),
        ("commonName=x", "x"),
    ],
)
def test_escapes_and_spellings_are_understood(text, value):
    assert parse_subject(text).common_name == value


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", "1"),
        ("CN", "1"),
        ("CN=a,", "6"),
        ("CN=a;O=b", "5"),
        ('CN="a"', "4"),
        ("CN=a<b", "5"),
        ("CN=#0c0161", "4"),
        ("CN=a\\", "5"),
        (r"CN=a\q", "5"),
        (r"CN=\E1\BA", "4"),
        ("=a", "1"),
        (",CN=a", "1"),
    ],
)
def test_malformed_text_is_refused_at_its_place(text, position):
    with pytest.raises(NameMalformed) as refused:
        parse_subject(text)
    assert refused.value.facts["position"] == position


def test_two_attributes_joined_by_a_plus_are_refused():
    with pytest.raises(NameMultivalued):
        parse_subject("CN=a+OU=b,C=VN")


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(NameAttributeUnknown) as refused:
        parse_subject("CN=a,organisationName=b")
    assert refused.value.facts["nearest"] == "organizationName"


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\\00", "U+0000"),
        ("\n", "U+000A"),
        ("\u202e", "U+202E"),
        ("\u2066", "U+2066"),
        ("\u200b", "U+200B"),
        ("\u00ad", "U+00AD"),
        ("\u2028", "U+2028"),
        ("\u00a0", "U+00A0"),
        ("\ue000", "U+E000"),
        ("\ufeff", "U+FEFF"),
    ],
)
def test_control_direction_and_invisible_characters_are_refused(character, shown):
    with pytest.raises(NameCharacterRefused) as refused:
        parse_subject(f"CN=a{character}b,C=VN")
    assert refused.value.facts == {"attribute": "CN", "character": shown}


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(NameMalformed):
        parse_subject(b"CN=\xff\xfe".decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("country", ["V", "VNM", "V1", "việt"])
def test_a_country_is_two_letters(country):
    with pytest.raises(NameCountryWrong):
        parse_subject(f"CN=a,C={country}")


def test_a_country_in_small_letters_is_raised():
    assert parse_subject("C=vn").first("C") == "VN"


def test_country_and_serial_number_are_printable_strings_and_the_rest_utf8():
    der = build_name(parse_subject("CN=a,serialNumber=A-1,C=VN")).public_bytes()
    assert bytes.fromhex("0603550406 1302 564e") in der
    assert bytes.fromhex("0603550405 1303 412d31") in der
    assert bytes.fromhex("0603550403 0c01 61") in der
    with pytest.raises(NameCharacterRefused):
        parse_subject("serialNumber=số")


@pytest.mark.parametrize("text", ["CN=a,CN=b", "UID=a,UID=a", "C=VN,C=KR"])
def test_what_may_stand_once_stands_once(text):
    with pytest.raises(NameAttributeRepeated):
        parse_subject(text)


@pytest.mark.parametrize("text", ["CN=,C=VN", "CN=   "])
def test_empty_values_are_refused(text):
    with pytest.raises(NameEmpty):
        parse_subject(text)


def test_a_name_by_values_equals_the_same_name_by_text():
    assert subject_name(CN="Ban A, Sở B", O="Sở B", C="VN") == parse_subject(r"CN=Ban A\, Sở B,O=Sở B,C=VN")


def test_foreign_names_are_read_whole():
    # A set of two attributes and an old string type, as other CAs write them.
    der = bytes.fromhex("301c 311a 3009 0603550403 1e02 0041 300d 0603550407 1406 48c3bc6c6c65".replace(" ", ""))
    assert rfc4514(parse_name(der)) == "CN=A+L=HÃ¼lle"


def test_a_foreign_value_that_is_no_text_is_shown_in_hex():
    der = bytes.fromhex("300e 310c 300a 0603550403 0c03 41ff42".replace(" ", ""))
    assert rfc4514(parse_name(der)) == "CN=\\#0c0341ff42"


# Most texts hold something that no name may.
@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(st.text(min_size=1, max_size=64))
def test_any_accepted_value_comes_back_from_its_own_text(value):
    try:
        name = subject_name(CN=value, C="VN")
    except NameRefused:
        assume(False)
    assert parse_subject(str(name)) == name
    assert parse_name(build_name(name).public_bytes()) == build_name(name)
