"""signer/metadata.py: what ND30 Appendix VI lets an agency say, and nothing else."""

from __future__ import annotations

import unicodedata

import pytest

from signer.errors import UsageWrong
from signer.metadata import LENGTHS, parse_metadata


def test_texts_are_kept_in_composed_form_without_blanks_around() -> None:
    spread = unicodedata.normalize("NFD", "  Về việc kiểm thử ")
    assert parse_metadata({"Subject": spread}) == {"Subject": "Về việc kiểm thử"}


def test_numbers_become_the_text_they_are() -> None:
    assert parse_metadata({"PageAmount": 3, "CodeNumber": 12}) == {"PageAmount": "3", "CodeNumber": "12"}


def test_recipients_are_one_or_several() -> None:
    one = {"OrganId": "H37.DN", "OrganName": "Sở Nội vụ"}
    assert parse_metadata({"To": one}) == {"To": one}
    assert parse_metadata({"To": [one, {}]}) == {"To": [one, {}]}


@pytest.mark.parametrize("name", LENGTHS)
def test_every_text_has_its_longest_length_in_characters(name: str) -> None:
    limit = LENGTHS[name]
    group, _, inner = name.partition(".")
    letter = "7" if name == "CodeNumber" else "ệ"

    def metadata(length: int) -> object:
        text = letter * length
        return {group: {inner: text}} if inner else {name: text}

    parse_metadata(metadata(limit))
    with pytest.raises(UsageWrong) as caught:
        parse_metadata(metadata(limit + 1))
    assert (caught.value.code, caught.value.facts) == ("METADATA_TOO_LONG", {"name": name, "limit": str(limit)})


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ([], "METADATA_TYPE"),
        (None, "METADATA_TYPE"),
        ({"Subject": None}, "METADATA_TYPE"),
        ({"Subject": True}, "METADATA_TYPE"),
        ({"Subject": 1.5}, "METADATA_TYPE"),
        ({"Subject": {}}, "METADATA_TYPE"),
        ({"To": "x"}, "METADATA_TYPE"),
        ({"To": ["x"]}, "METADATA_TYPE"),
        ({"SignerInfo": [{}]}, "METADATA_TYPE"),
        ({"Subjekt": "x"}, "METADATA_UNKNOWN"),
        ({"": "x"}, "METADATA_UNKNOWN"),
        ({"SignerInfo": {"Rank": "x"}}, "METADATA_UNKNOWN"),
        ({"Subject": "a\nb"}, "METADATA_CHARACTER"),
        ({"Subject": "a\u202eb"}, "METADATA_CHARACTER"),
        ({"Subject": "a\u200bb"}, "METADATA_CHARACTER"),
        ({"Subject": "a\x00b"}, "METADATA_CHARACTER"),
        ({"Subject": "a\ud800b"}, "METADATA_CHARACTER"),
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
    assert caught.value.facts["nearest"] == "SignerInfo.FullName"
