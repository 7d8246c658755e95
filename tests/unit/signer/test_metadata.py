"""signer/metadata.py: what ND30 Appendix VI lets an agency say, and nothing else."""

from __future__ import annotations

import unicodedata

import pytest

from signer.errors import UsageWrong
from signer.metadata import LENGTHS, parse_metadata

NUMBERS = {"CodeNumber", "DocOrdinal", "PageAmount", "IssuedAmount", "Priority"}


def test_texts_are_kept_in_composed_form_without_blanks_around() -> None:
    spread = unicodedata.normalize("NFD", "  Về việc kiểm thử ")
    assert parse_metadata({"Subject": spread}) == {"Subject": "Về việc kiểm thử"}


def test_dates_are_kept_in_one_form_however_they_were_typed() -> None:
    typed = {"IssuedDate": "22/11/2026", "DueDate": "2027-02-28"}
    assert parse_metadata(typed) == {"IssuedDate": "2026-11-22", "DueDate": "2027-02-28"}


def test_recipients_are_one_or_several() -> None:
    one = {"OrganId": "000.00.00.H37", "OrganName": "Sở Nội vụ"}
    assert parse_metadata({"To": one}) == {"To": one}
    assert parse_metadata({"To": [one, {}]}) == {"To": [one, {}]}


@pytest.mark.parametrize("name", LENGTHS)
def test_every_text_has_its_longest_length_in_characters(name: str) -> None:
    limit = LENGTHS[name]
    group, _, inner = name.partition(".")
    letter = {"To.OrganId": "H"}.get(name, "7" if name in NUMBERS else "ệ")

    def metadata(length: int) -> object:
        text = letter * length if not name.endswith("Date") or length > limit else "2026-11-22"
        return {group: {inner: text}} if inner else {name: text}

    parse_metadata(metadata(limit))
    with pytest.raises(UsageWrong) as caught:
        parse_metadata(metadata(limit + 1))
    assert (caught.value.code, caught.value.facts) == ("METADATA_TOO_LONG", {"name": name, "limit": str(limit)})


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ([], "METADATA_NOT_OBJECT"),
        (None, "METADATA_NOT_OBJECT"),
        ({"Subject": None}, "METADATA_TYPE"),
        ({"CodeNotation": 12}, "METADATA_TYPE"),
        ({"CodeNumber": 12}, "METADATA_TYPE"),
        ({"IssuedDate": 20261122}, "METADATA_TYPE"),
        ({"IssuedDate": "2026-13-45"}, "METADATA_DATE"),
        ({"IssuedDate": "2026-02-29"}, "METADATA_DATE"),
        ({"IssuedDate": "2026-1-5"}, "METADATA_DATE"),
        ({"IssuedDate": "11/22/2026"}, "METADATA_DATE"),
        ({"DueDate": "tomorrow"}, "METADATA_DATE"),
        ({"DueDate": ""}, "METADATA_DATE"),
        ({"Subject": True}, "METADATA_TYPE"),
        ({"Subject": 1.5}, "METADATA_TYPE"),
        ({"Subject": {}}, "METADATA_TYPE"),
        ({"To": "x"}, "METADATA_TYPE"),
        ({"To": ["x"]}, "METADATA_TYPE"),
        ({"SignerInfo": [{}]}, "METADATA_TYPE"),
        ({"Subjekt": "x"}, "METADATA_MISSPELT"),
        ({"": "x"}, "METADATA_UNKNOWN"),
        ({"SignerInfo": {"Rank": "x"}}, "METADATA_UNKNOWN"),
        ({"Subject": "a\nb"}, "METADATA_CHARACTER"),
        ({"Subject": "a\u202eb"}, "METADATA_CHARACTER"),
        ({"Subject": "a\u200bb"}, "METADATA_CHARACTER"),
        ({"Subject": "a\x00b"}, "METADATA_CHARACTER"),
        ({"Subject": "a\ud800b"}, "METADATA_CHARACTER"),
        ({"PageAmount": "ba"}, "METADATA_COUNT"),
        ({"PageAmount": ""}, "METADATA_COUNT"),
        ({"IssuedAmount": "-1"}, "METADATA_COUNT"),
        ({"DocOrdinal": "٣"}, "METADATA_COUNT"),
        ({"Priority": "x"}, "METADATA_COUNT"),
        ({"To": {"OrganId": "Sở"}}, "METADATA_ORGAN_ID"),
        ({"To": [{"OrganId": "H37"}, {"OrganId": "H37..1"}]}, "METADATA_ORGAN_ID"),
        ({"To": {"OrganId": ""}}, "METADATA_ORGAN_ID"),
        ({"IssuedDate": "2026-11-22", "DueDate": "21/11/2026"}, "METADATA_DUE_BEFORE_ISSUE"),
        ({"CodeNumber": "0"}, "METADATA_NUMBER"),
        ({"CodeNumber": "-1"}, "METADATA_NUMBER"),
        ({"CodeNumber": "1a"}, "METADATA_NUMBER"),
        ({"CodeNumber": "٣"}, "METADATA_NUMBER"),
        ({"CodeNumber": ""}, "METADATA_NUMBER"),
    ],
)
def test_what_cannot_be_meant_is_refused(raw: object, code: str) -> None:
    with pytest.raises(UsageWrong) as caught:
        parse_metadata(raw)
    assert caught.value.code == code


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageWrong) as caught:
        parse_metadata({"SignerInfo": {"FulName": "x"}})
    assert (caught.value.code, caught.value.facts["nearest"]) == ("METADATA_MISSPELT", "SignerInfo.FullName")


def test_a_name_that_resembles_none_gets_the_list_and_no_guess() -> None:
    with pytest.raises(UsageWrong) as caught:
        parse_metadata({"Ngày": "x" * 5})
    assert caught.value.code == "METADATA_UNKNOWN"
    assert caught.value.facts["valid"].split(", ") == list(LENGTHS)
