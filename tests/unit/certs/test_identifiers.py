"""Numbers in a subject have the form of their kind, the right check digit, and name the same thing in both notations."""

from __future__ import annotations

import pytest

from certs.errors import (
    IdentifierMalformed,
    IdentifiersDisagree,
    NameAttributeRepeated,
    NameRefused,
    TaxCodeWrong,
    UidMalformed,
    UidUnknown,
)
from certs.identifiers import check_identifiers, check_tax_codes, identifier_example
from certs.names import parse_subject


def check(text: str) -> None:
    check_identifiers(parse_subject(f"CN=a,{text},C=VN"))


def check_digits(text: str) -> None:
    check(text)
    check_tax_codes(parse_subject(f"CN=a,{text},C=VN"))


# Tax codes of the state's own companies, as everybody can look them up; the last one is a branch.
@pytest.mark.parametrize("number", ["0100233488", "0100109106", "0100047516", "0314409058-002", "012345678901"])
def test_a_tax_code_with_its_check_digit_is_accepted(number):
    check_digits(f"UID=MST:{number}")


@pytest.mark.parametrize("number", ["0100233480", "0100233489", "0000000000", "0314409057-002"])
def test_a_tax_code_with_another_check_digit_is_refused(number):
    with pytest.raises(TaxCodeWrong):
        check_digits(f"UID=MST:{number}")


def test_a_mistyped_digit_is_noticed_wherever_it_stands():
    good = "0100233488"
    for position in range(10):
        for digit in set("0123456789") - {good[position]}:
            with pytest.raises(TaxCodeWrong):
                check_digits(f"UID=MST:{good[:position]}{digit}{good[position + 1 :]}")


@pytest.mark.parametrize(
    "uid",
    [
        "MST:010023348", "MST:0100233488-1", "MST:0100233488001", "MST: 0100233488", "MST:", "MST:01002334a8", "MNS:765432",
        "CCCD:98765432109", "CCCD:1234567890123", "CCCD:01234567890①", "CMND:87654321", "CMND:1234567890", "HC:b1234567",
        "HC:ABCDEFGH", "HC:K12", "HC:B123456789",
    ],
)  # fmt: skip
def test_a_number_of_another_form_is_refused_with_an_example_and_without_the_number(uid):
    with pytest.raises(UidMalformed) as refused:
        check(f"UID={uid}")
    kind, _, number = uid.partition(":")
    assert refused.value.facts["uid"] == kind
    assert number == "" or number not in str(refused.value.facts.values()) + str(refused.value)
    for example in refused.value.facts["form"].split(", "):
        check_digits(f"UID={example}")


@pytest.mark.parametrize(
    "uid", ["MNS:1000001", "CCCD:012345678901", "CMND:123456789", "CMND:012345678901", "HC:B1234567"]
)
def test_numbers_of_each_kind_are_accepted(uid):
    check(f"UID={uid}")


@pytest.mark.parametrize("uid", ["CCDC:012345678901", "cccd:012345678901", "012345678901", "PASSPORT:1", ":1", "MST"])
def test_an_unknown_kind_is_refused_with_those_that_exist(uid):
    with pytest.raises(UidUnknown) as refused:
        check(f"UID={uid}")
    assert refused.value.facts["valid"] == "MST:, MNS:, CCCD:, CMND:, HC:"
    assert "012345678901" not in str(refused.value.facts)


def test_several_kinds_stand_beside_each_other_and_each_once():
    check("UID=MNS:1000001,UID=MST:0100233488,UID=CCCD:012345678901")
    with pytest.raises(NameAttributeRepeated):
        check("UID=MST:0100233488,UID=MST:0100109106")


@pytest.mark.parametrize(
    "value",
    ["VATVN-0100233488", "VATVN-0314409058-002", "NTRVN-41A/2004", "VATDE-123456789", "LEIXG-529900T8BM49AURSDO55"],
)
def test_identifiers_of_organisations_are_accepted(value):
    check(f"organizationIdentifier={value}")


@pytest.mark.parametrize(
    "value",
    [
        "0100233488", "VATVN0100233488", "VATVN-", "vatvn-0100233488", "VATVN-010023348", "XYZVN-1", "LEIVN-529900T8BM49AURSDO55",
        "LEIXG-529900T8BM49AURSDO56", "VATVN-01 00233488",
    ],
)  # fmt: skip
def test_an_identifier_of_an_organisation_in_another_form_is_refused(value):
    with pytest.raises(IdentifierMalformed) as refused:
        check(f"organizationIdentifier={value}")
    assert refused.value.facts["attribute"] == "organizationIdentifier"


def test_the_check_digit_counts_in_both_notations():
    with pytest.raises(TaxCodeWrong):
        check_digits("organizationIdentifier=VATVN-0100233480")
    with pytest.raises(TaxCodeWrong):
        check_digits("serialNumber=TINVN-0100233480")


@pytest.mark.parametrize(
    "value",
    ["IDCVN-012345678901", "IDCVN-123456789", "PNOVN-012345678901", "PASVN-B1234567", "TINVN-012345678901", "PASKR-M1", "CB-0017"],
)  # fmt: skip
def test_identifiers_of_persons_and_an_agencys_own_numbers_are_accepted(value):
    check(f"serialNumber={value}")


@pytest.mark.parametrize(
    "value", ["IDCVN-1", "PNOVN-123456789", "PASVN-", "IDCKR-", "TAXVN-0100233488", "PASVN-b1234567"]
)
def test_an_identifier_of_a_person_in_another_form_is_refused(value):
    with pytest.raises(IdentifierMalformed):
        check(f"serialNumber={value}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("UID=MST:0100233488", "organizationIdentifier=VATVN-0100109106"),
        ("UID=CCCD:012345678901", "serialNumber=IDCVN-012345678902"),
        ("UID=CCCD:012345678901", "serialNumber=PNOVN-012345678902"),
        ("UID=HC:B1234567", "serialNumber=PASVN-B1234568"),
    ],
)
def test_two_notations_of_one_number_agree(one, other):
    with pytest.raises(IdentifiersDisagree) as refused:
        check(f"{one},{other}")
    assert refused.value.facts["first"] == one.partition(":")[0]
    check(f"{one},{other.partition('-')[0]}-{one.partition(':')[2]}")


def test_an_older_identity_card_beside_the_citizen_id_is_no_contradiction():
    check("UID=CCCD:012345678901,UID=CMND:123456789,serialNumber=IDCVN-123456789")
    check("UID=HC:B1234567,serialNumber=PASKR-M7654321")


def test_an_example_uses_the_number_that_is_known():
    subject = parse_subject("CN=a,UID=MST:0100233488,UID=CCCD:012345678901,C=VN")
    assert identifier_example("organizationIdentifier", subject) == "organizationIdentifier=VATVN-0100233488"
    assert identifier_example("serialNumber", subject) == "serialNumber=IDCVN-012345678901"


@pytest.mark.parametrize("text", ["UID=CCCD:\\00", "UID=CCCD:\u202e012345678901", f"UID=MST:{'1' * 253}"])
def test_hidden_characters_and_endless_numbers_are_refused(text):
    with pytest.raises(NameRefused):
        check(text)
