"""Policies: three that ship, one more by a file; what is not exactly one is refused with what is wrong."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from signer.errors import UsageWrong
from signer.validation.facts import CrlFacts
from signer.validation.rules import NEVER, SHIPPED, load_policy, parse_policy, read_policy, shelf_of

AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
VN = files("signer.validation").joinpath("policies", "vn-2025.toml").read_bytes()
OWN = VN.replace(b'name = "vn-2025"', b'name = "ban-thi-dua"')


@pytest.mark.parametrize("name", SHIPPED)
def test_each_policy_of_the_package_says_its_name_and_the_hash_of_its_file(name: str) -> None:
    policy = load_policy(name)
    data = files("signer.validation").joinpath("policies", f"{name}.toml").read_bytes()
    assert (policy.name, policy.sha256) == (name, hashlib.sha256(data).hexdigest())


def test_an_algorithm_is_good_until_the_end_of_its_last_day() -> None:
    basic = load_policy("basic")
    assert basic.digest_end("sha1") == datetime(2013, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert basic.digest_end("sha256") == NEVER
    assert basic.digest_end("md5") is None
    assert load_policy("vn-2025").digest_end("sha1") is None
    assert load_policy("vn-2025").signature_end("dsa") is None


@pytest.mark.parametrize(
    ("key", "year"),
    [(("rsa", 1023), None), (("rsa", 1024), 2019), (("rsa", 2048), 2026), (("rsassa_pss", 2048), 2026),
     (("rsa", 3072), 9999), (("ec", 159), None), (("ec", 224), 2021), (("ec", 256), 9999), (("ed25519", 0), 9999), (("dsa", 3072), None)],
)  # fmt: skip
def test_a_key_is_good_as_long_as_the_strongest_rule_that_it_meets(key: tuple[str, int], year: int | None) -> None:
    end = load_policy("eidas").key_end(*key)
    assert (end and end.year) == year


def test_an_answer_is_fresh_by_its_own_word_or_by_the_policys_age() -> None:
    old = CrlFacts(AT - timedelta(days=9), AT + timedelta(days=1), None, None)
    assert load_policy("vn-2025").is_fresh(old, AT, of_signer=True)
    assert not load_policy("eidas").is_fresh(old, AT, of_signer=True)
    assert load_policy("eidas").is_fresh(old, AT, of_signer=False)
    assert not load_policy("vn-2025").is_fresh(old, AT + timedelta(days=2), of_signer=True)
    without_end = CrlFacts(AT, None, None, None, kind="ocsp")
    assert load_policy("vn-2025").is_fresh(without_end, AT + timedelta(minutes=5), of_signer=True)
    assert not load_policy("vn-2025").is_fresh(without_end, AT + timedelta(minutes=6), of_signer=True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (b"name = ", "Invalid value"),
        (OWN.replace(b'sha384 = "no-end"', b'sha384 = "31/12/2030"'), "digests.sha384: a day like"),
        (OWN.replace(b"bits = 2048", b'bits = "2048"'), "a whole number"),
        (OWN.replace(b'type = "rsa"', b'type = "rsaa"'), "keys.type: one of rsa"),
        (OWN.replace(b'version = "2"\n', b""), "'version' is missing"),
        (OWN.replace(b"[time]", b"[tiem]"), "unknown key 'tiem'"),
        (OWN.replace(b"max_age_hours = 0", b"max_age_hours = -1"), "hours from 0 on"),
        (OWN.replace(b'name = "ban-thi-dua"', b'name = "Ban Thi Dua"'), "name: small letters"),
        (b"\xff\xfe", "codec"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_with_what_is_wrong(wrong: bytes, said: str) -> None:
    with pytest.raises(UsageWrong) as refused:
        parse_policy(wrong, "own.toml")
    assert (refused.value.code, refused.value.facts["path"]) == ("POLICY_FILE_WRONG", "own.toml")
    assert said in refused.value.facts["problem"]


def test_one_more_policy_comes_out_of_a_file_and_may_hold_without_a_word(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(OWN)
    shelf = shelf_of([read_policy(file, "own.toml")], "ban-thi-dua")
    assert shelf.get().name == "ban-thi-dua"
    assert shelf.get("eidas").name == "eidas"
    with pytest.raises(UsageWrong) as refused:
        shelf.get("eidass")
    assert refused.value.code == "POLICY_UNKNOWN"
    assert refused.value.facts["valid"] == "ban-thi-dua, basic, eidas, vn-2025"


def test_a_name_of_the_package_cannot_be_taken_and_a_missing_file_or_default_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageWrong, match="POLICY_NAME_TAKEN"):
        shelf_of([parse_policy(VN, "own.toml")])
    with pytest.raises(UsageWrong, match="POLICY_UNKNOWN"):
        shelf_of(default="vn-2024")
    with pytest.raises(UsageWrong, match="POLICY_FILE_UNREADABLE"):
        read_policy(tmp_path / "none.toml", "none.toml")
