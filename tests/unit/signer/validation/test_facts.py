"""Facts go to JSON and back; what is not facts is refused."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.validation.certificates import plain_text
from signer.validation.errors import FactsUnreadable
from signer.validation.facts import (
    CertificateFacts,
    ChangeFacts,
    CrlFacts,
    FileFacts,
    PathFacts,
    SignatureFacts,
    TrustAnchor,
    ValidationInputs,
)

AT = datetime(2026, 11, 21, tzinfo=UTC)
CERTIFICATE = CertificateFacts(
    "ab" * 32,
    "CN=A",
    "A",
    None,
    "01",
    "CN=B",
    AT,
    AT,
    "ec",
    256,
    "sha256",
    ("non_repudiation",),
    "MA==",
    (CrlFacts(AT, None, None, None),),
)
FACTS = FileFacts(
    "cd" * 32,
    10,
    "PDF",
    signatures=(
        SignatureFacts(
            "Sig1",
            "signature",
            "/ETSI.CAdES.detached",
            findings=("GAP_NOT_CONTENTS",),
            changes=(ChangeFacts("field", 1, "So"),),
            claimed_time=AT,
            signer=CERTIFICATE,
            path=PathFacts("internal", "ef" * 32, (CERTIFICATE,)),
            revision_end=9,
            revision_sha256="12" * 32,
        ),
    ),
)


def encoded() -> dict[str, Any]:
    return json.loads(json.dumps(FACTS.to_json()))


def test_facts_survive_the_way_through_json() -> None:
    assert FileFacts.from_json(encoded()) == FACTS


def test_the_register_is_asked_for_file_and_revisions() -> None:
    assert FACTS.revision_hashes() == ["cd" * 32, "12" * 32]


def test_inputs_survive_the_way_through_a_message() -> None:
    inputs = ValidationInputs(AT, (TrustAnchor(b"a", "public"), TrustAnchor(b"b", "unknown")), (b"c",), (b"d", b"e"))
    header, blobs = inputs.to_message()
    assert ValidationInputs.from_message(json.loads(json.dumps(header)), blobs) == inputs


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f.pop("size"),
        lambda f: f.update(extra=1),
        lambda f: f.update(size="10"),
        lambda f: f.update(size=True),
        lambda f: f.update(format="DOC"),
        lambda f: f.update(signatures={}),
        lambda f: f["signatures"][0].update(type="seal"),
        lambda f: f["signatures"][0].update(changes_after="fine"),
        lambda f: f["signatures"][0].update(claimed_time="yesterday"),
        lambda f: f["signatures"][0]["path"].update(kind="mine"),
        lambda f: f["signatures"].append(None),
    ],
)
def test_facts_of_another_shape_are_refused(spoil: Any) -> None:
    data = copy.deepcopy(encoded())
    spoil(data)
    with pytest.raises(FactsUnreadable):
        FileFacts.from_json(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_whatever_is_no_facts_is_refused_in_one_way(data: object) -> None:
    with pytest.raises(FactsUnreadable):
        FileFacts.from_json(data)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Tre\u0302\u0309", "Trể"),
        ("abc\u202egpj.exe", "abcgpj.exe"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("a\nb\tc", "a b c"),
        ("<b>Đà Nẵng</b>", "<b>Đà Nẵng</b>"),
        ("x" * 1000, "x" * 599 + "…"),
    ],
)
def test_text_of_strangers_is_made_plain(text: str, shown: str) -> None:
    assert plain_text(text) == shown
