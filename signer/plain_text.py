"""The content of a plain page, as far as one must know that nothing is painted after text (ISO 32000-2 annex A)."""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import dataclass

from signer.plain_objects import PlainObjects
from signer.plain_pdf import NotPlain, RawDictionary, reference, references

_FLATE = (b"/FlateDecode", b"[/FlateDecode]", b"[ /FlateDecode ]")
_ASCII_FLATE = (b"[/ASCII85Decode/FlateDecode]", b"[/ASCII85Decode /FlateDecode]", b"[ /ASCII85Decode /FlateDecode ]")
# Read octet by octet in Python.
_MOST_ASCII = 64 * 1024
_MOST_OCTETS = 4 * 1024 * 1024
_STRING = rb"\((?>(?:[^()\\]++|\\.)*)\)|<[0-9A-Fa-f\x00\t\n\x0c\r ]*+>"
# Strings and names, then numbers, brackets and white space: what is left are operators, and whatever this does not know.
_WORDY = re.compile(_STRING + rb"|/[^\x00\t\n\x0c\r ()<>\[\]{}/%]*+|<<|>>", re.DOTALL)
_NUMERIC = b"0123456789.+-[]\x00\t\n\x0c\r"
_BLANKED = bytes.maketrans(_NUMERIC, b" " * len(_NUMERIC))
_TEXT = {b"Tj", b"TJ", b"'", b'"'}
_COVERING = {b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"}
# These may have strings that nobody sees.
_NAMING = {b"BDC", b"DP"}
_HARMLESS = _TEXT | set(
    b"q Q cm gs i M j J d w ri BT ET Tc Tw Tz TL Tf Tr Ts Td TD Tm T* CS cs SC sc SCN scn G g RG rg K k m l c v y h re S s n W W*"
    b" BMC BDC EMC MP DP true false null".split()
)
# Text is shown, its font chosen, the state of graphics kept and taken back. Strings: nothing in them counts.
_FONT = rb"/([^\x00\t\n\x0c\r ()<>\[\]{}/%]++)[\x00\t\n\x0c\r ]++[+\-0-9.]++[\x00\t\n\x0c\r ]++Tf\b"
_STEP = re.compile(rb"(" + _STRING + rb")|" + _FONT + rb"|\b([qQ])\b|(T[jJ]|['\"])", re.DOTALL)
_CHOICE = re.compile(_FONT)
_LETTERS = re.compile(rb"\([^)]|<[0-9A-Fa-f]")


@dataclass(frozen=True)
class PageText:
    """What the content of a page does. `chosen`: names of fonts, without slash, whether used or not; `operators`: of each kind one."""

    content: bytes
    chosen: frozenset[bytes]
    operators: frozenset[bytes]

    def shown_with(self) -> list[bytes]:
        """The names of the fonts with which letters are shown, in their order."""
        if len(self.chosen) == 1 and not self.operators & _NAMING:
            # All there is to be shown is shown with it.
            return list(self.chosen) if self.operators & _TEXT and _LETTERS.search(self.content) else []
        font: bytes | None = None
        kept: list[bytes | None] = []
        waiting = False
        shown: dict[bytes, None] = {}
        for step in _STEP.finditer(self.content):
            string, name, state, show = step.groups()
            if string is not None:
                waiting = waiting or len(string) > 2
            elif name is not None:
                font = name
            elif state == b"q":
                kept.append(font)
            elif state == b"Q":
                if not kept:
                    raise NotPlain("a state that was not kept")
                font = kept.pop()
            elif show is not None:
                if waiting and font is None:
                    raise NotPlain("text without a font")
                if waiting and font is not None:
                    shown[font] = None
                waiting = False
        return list(shown)


def read_text(objects: PlainObjects, page: RawDictionary) -> PageText:
    """The content of a page; NotPlain where anything but text follows text, or where anything is not understood."""
    content = b"\n".join(_inflated(objects, number) for number in _contents(objects, page))
    operators = _WORDY.sub(b" ", content).translate(_BLANKED).split()
    kinds = set(operators)
    covering = kinds & _COVERING
    if not kinds <= _HARMLESS | _COVERING:
        raise NotPlain("more than text")
    if covering and kinds & _TEXT:
        first = next(at for at, operator in enumerate(operators) if operator in _TEXT)
        if not covering.isdisjoint(operators[first:]):
            raise NotPlain("something painted after text")
    chosen = _CHOICE.findall(content)
    if not operators.count(b"Tf") == content.count(b"Tf") == len(chosen):
        raise NotPlain("a font that is chosen in another way")
    return PageText(content, frozenset(chosen), frozenset(kinds))


def _contents(objects: PlainObjects, page: RawDictionary) -> list[int]:
    raw = page.entries.get(b"/Contents")
    if raw is None:
        return []
    if raw.startswith(b"["):
        return references(raw)
    number = reference(raw)
    return [number] if objects.is_stream(number) else references(objects.values.get(number, b""))


def _inflated(objects: PlainObjects, number: int) -> bytes:
    return inflated(objects.dictionary(number), objects.octets(number), _MOST_OCTETS)


def inflated(head: RawDictionary, octets: bytes, most: int) -> bytes:
    """The octets of a stream with one usual filter or none."""
    if head.entries.keys() & {b"/DecodeParms", b"/F", b"/Crypt"}:
        raise NotPlain("an unusual stream")
    kind = head.entries.get(b"/Filter")
    if kind in _ASCII_FLATE:
        octets, kind = _from_ascii(octets), b"/FlateDecode"
    if kind is None:
        data, whole = octets[:most], len(octets) <= most
    elif kind in _FLATE:
        inflater = zlib.decompressobj()
        try:
            data = inflater.decompress(octets, most)
        except zlib.error as error:
            raise NotPlain("a damaged stream") from error
        whole = inflater.eof
    else:
        raise NotPlain("an unusual filter")
    if not whole:
        raise NotPlain("a stream that is cut off, or too long")
    return data


def _from_ascii(octets: bytes) -> bytes:
    """ISO 32000-2 7.4.3."""
    if len(octets) > _MOST_ASCII:
        raise NotPlain("a stream that is long in letters")
    try:
        return base64.a85decode(b"<~" + octets.strip(), adobe=True)
    except ValueError as error:
        raise NotPlain("a damaged stream") from error
