"""The small reader of plain files: an entry read in one step is the entry that is read token by token."""

from __future__ import annotations

import random
import re
import time

import pytest

from signer.plain_pdf import NotPlain, RawDictionary, read_dictionary, skip_blank, skip_value

PIECES = (
    b"1 0 R", b"12", b"-1.5", b"true", b"/Name", b"/", b"/A#20", b"(text)", b"(a\\)b)", b"<00 ff>", b"<>", b"[", b"]", b"<<",
    b">>", b"<", b">", b"{", b"\x0b", b"1 0 R1", b"<< /A 1 0 R >>", b"[<AB><CD>]", b"[1 [2 (x)]]", b"<< /A << /B << /C 1 >> >> >>",
    b"<< /A [1 << /X [2] >>] >>", b"%c\n",
)  # fmt: skip


def entries_of(text: bytes) -> dict[bytes, bytes] | None:
    try:
        return read_dictionary(text, 0).entries
    except NotPlain:
        return None


def token_by_token(text: bytes) -> dict[bytes, bytes] | None:
    """The same, as the standard describes it: a key, its value, and so on (ISO 32000-2 7.3.7)."""
    at, entries = skip_blank(text, 2), {}
    try:
        while text[at : at + 2] != b">>":
            key = re.compile(rb"/[^\x00\t\n\x0c\r ()<>\[\]{}/%]*").match(text, at)
            if key is None or b"#" in key[0] or key[0] in entries:
                return None
            value = skip_blank(text, key.end())
            end = skip_value(text, value)
            entries[key[0]] = text[value:end]
            at = skip_blank(text, end)
    except NotPlain:
        return None
    return entries


def test_entries_in_one_step_are_the_entries_token_by_token() -> None:
    chance = random.Random(7)
    read = 0
    for _ in range(5000):
        values = [b" ".join(chance.choices(PIECES, k=chance.randint(1, 3))) for _ in range(chance.randint(1, 3))]
        text = b"<<%b>>" % b"".join(b"/K%d %b\n" % entry for entry in enumerate(values))
        found = entries_of(text)
        assert found == token_by_token(text), text
        read += found is not None
    assert 500 < read < 4500


def test_a_comment_before_a_value_is_in_no_value() -> None:
    chance = random.Random(7)
    for _ in range(5000):
        values = [b" ".join(chance.choices(PIECES, k=chance.randint(1, 3))) for _ in range(chance.randint(1, 3))]
        quick = b"<<%b>>" % b"".join(b"/K%d %b\n" % entry for entry in enumerate(values))
        said = b"<<%b>>" % b"".join(b"/K%d %%c\n%b\n" % entry for entry in enumerate(values))
        assert without_comments(quick) == without_comments(said), quick


def without_comments(text: bytes) -> dict[bytes, bytes] | None:
    entries = entries_of(text)
    return None if entries is None else {key: value.replace(b"%c\n", b"") for key, value in entries.items()}


def test_what_stands_twice_or_is_escaped_is_not_plain() -> None:
    for text in (b"<</A 1/A 2>>", b"<</A 1/A (2)>>", b"<</A#41 1>>", b"<</A 1", b"<</A 1 2>>", b"<<1 /A>>"):
        with pytest.raises(NotPlain):
            read_dictionary(text, 0)


def test_an_entry_is_replaced_or_added_and_the_rest_stays() -> None:
    page = read_dictionary(b"<</Type/Page % a page\n/Annots[1 0 R]/Parent 2 0 R>>", 0)
    assert page.with_entry(b"/Tabs", b"/S") == b"<</Type/Page % a page\n/Annots[1 0 R]/Parent 2 0 R\n/Tabs /S\n>>"
    again = read_dictionary(page.with_entry(b"/Annots", b"[3 0 R]"), 0)
    assert again.entries == {b"/Type": b"/Page", b"/Parent": b"2 0 R", b"/Annots": b"[3 0 R]"}
    assert RawDictionary(b"<<>>", {}).with_entry(b"/A", b"1") == b"<<\n/A 1\n>>"


def test_hostile_text_takes_linear_time() -> None:
    begun = time.process_time()
    for text in (
        b"<</A " + b"[" * 50_000,
        b"<</A [" + b"<" * 50_000,
        b"<</A [" + b"1 " * 50_000,
        b"<</A <" + b"A" * 99_999,
    ):
        with pytest.raises(NotPlain):
            read_dictionary(text, 0)
    assert time.process_time() - begun < 5
