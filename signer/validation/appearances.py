"""What the appearance of a form field says: the text that its content stream draws, or that nobody can tell.

A field's value and its face are two things (ISO 32000-2 12.7.4.3), and people see the face. Text drawn in the plain way is read
here; anything else, a picture or a curve among it, is no text, and then a value cannot be compared with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pyhanko.pdf_utils import generic

from signer.validation.signature_value import entry

_MOST_OCTETS = 200_000
_TOKEN = re.compile(
    rb"%[^\r\n]*|<<|>>|[\[\]]|<[0-9A-Fa-f\x00\t\n\x0c\r ]*>|/[^\x00\t\n\x0c\r ()<>\[\]{}/%]*"
    rb"|[+-]?[0-9]*\.?[0-9]+\.?|[A-Za-z'\"][A-Za-z0-9*]*|\(|[\x00\t\n\x0c\r ]+"
)
_STRING_PART = re.compile(rb"\\[0-7]{1,3}|\\\r\n|\\.|[()]|[^\\()]+", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b""}
# What a viewer draws a text field with: its border, its ground and its words (12.7.4.3). A `Do`, a curve or a shading is something else.
_HARMLESS = frozenset(
    b"q Q cm w J j M d g G rg RG k K cs CS sc SC re m l h n W W* S s f F f* B B* b b* BMC BDC EMC BT ET Tc Tw Tz TL Ts Td TD Tm T*".split()
)
_SHOWING = frozenset((b"Tj", b"TJ", b"'", b'"'))
# A frame with its shadow takes a dozen lines; letters drawn as lines take more.
_LINES = frozenset((b"m", b"l", b"re"))
_MOST_LINES = 24
_MARKS = {
    "grave": 0x300, "acute": 0x301, "circumflex": 0x302, "tilde": 0x303, "dieresis": 0x308, "ring": 0x30A, "caron": 0x30C, "cedilla": 0x327,
}  # fmt: skip
_NAMED = {
    "space": " ", "hyphen": "-", "period": ".", "comma": ",", "slash": "/", "colon": ":", "quotesingle": "'", "grave": "`", "endash": "–",
    "emdash": "—", "bullet": "•", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9",
}  # fmt: skip
_CODE_RANGE = re.compile(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*(?:<([0-9A-Fa-f]+)>|\[([^\]]*)\])")
_CODE = re.compile(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]*)>")


@dataclass
class _Letters:
    """What the codes of one font mean; `known` is False where nobody says."""

    width: int = 1
    known: bool = True
    codes: dict[int, str | None] = field(default_factory=dict)
    base: str = "cp1252"

    def read(self, text: bytes) -> str | None:
        if not self.known or len(text) % self.width:
            return None
        pieces = []
        for at in range(0, len(text), self.width):
            code = int.from_bytes(text[at : at + self.width], "big")
            if code in self.codes:
                letter = self.codes[code]
            elif self.width == 1:
                letter = bytes([code]).decode(self.base, "replace")
            else:
                letter = None
            if letter is None:
                return None
            pieces.append(letter)
        return "".join(pieces)


def is_blank_appearance(stream: generic.StreamObject) -> bool:
    """Whether the stream draws nothing at all: only marks, states and clips."""
    quiet = {b"q", b"Q", b"BMC", b"BDC", b"EMC", b"BT", b"ET", b"n", b"re", b"W", b"cm", b"g", b"rg", b"w"}
    return all(name in quiet for name, _ in operations(stream.data))


def drawn_text(stream: generic.StreamObject, defaults: Any) -> str | None:
    """The text of one appearance; None when it shows what cannot be read. `defaults` are the form's own resources (/DR)."""
    data = stream.data
    if len(data) > _MOST_OCTETS:
        return None
    fonts = _fonts(entry(stream, "/Resources"), defaults)
    letters, pieces, lines = _Letters(known=False), [], 0
    for name, operands in operations(data):
        lines += name in _LINES
        if name == b"Tf":
            letters = _letters(fonts.get(_name(operands)))
        elif name in _SHOWING:
            for text in (each for each in operands if isinstance(each, bytes)):
                read = letters.read(text)
                if read is None:
                    return None
                pieces.append(read)
        elif name == b"Tr":
            if operands[-1:] != [0.0]:
                return None  # 9.3.6: drawn without being seen, or as a clip
        elif name not in _HARMLESS or lines > _MOST_LINES:
            return None
    return "".join(pieces)


def _name(operands: list[object]) -> str:
    found = [each for each in operands if isinstance(each, str)]
    return found[-1] if found else ""


def operations(data: bytes) -> Iterator[tuple[bytes, list[object]]]:
    """Operators with their operands: strings as bytes, names as str, numbers as float. Nesting is left aside."""
    at, operands = 0, list[object]()
    while at < len(data):
        token = _TOKEN.match(data, at)
        if token is None:
            yield b"?", []
            at += 1
            continue
        word, at = token.group(), token.end()
        if word == b"(":
            text, at = _literal(data, at)
            operands.append(text)
        elif word.startswith(b"<") and word != b"<<":
            digits = re.sub(rb"[^0-9A-Fa-f]", b"", word)
            operands.append(bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii")))
        elif word.startswith(b"/"):
            operands.append(word.decode("latin-1"))
        elif word[:1].isalpha() or word[:1] in b"'\"":
            yield word, operands
            operands = []
        elif word[:1] in b"+-.0123456789":
            operands.append(float(word))


def _literal(data: bytes, at: int) -> tuple[bytes, int]:
    """A string in parentheses (7.3.4.2) whose opening one has been read."""
    depth, out = 1, []
    while at < len(data):
        part = _STRING_PART.match(data, at)
        if part is None:
            break
        piece, at = part.group(), part.end()
        if piece == b"(":
            depth += 1
        elif piece == b")":
            depth -= 1
            if not depth:
                break
        elif piece.startswith(b"\\"):
            rest = piece[1:]
            piece = bytes([int(rest, 8) & 255]) if rest[:1].isdigit() and rest < b"8" else _ESCAPES.get(rest, rest)
        out.append(piece)
    return b"".join(out), at


def _fonts(own: Any, defaults: Any) -> dict[str, Any]:
    fonts: dict[str, Any] = {}
    for resources in (defaults, own):
        held = entry(resources, "/Font") if isinstance(resources, generic.DictionaryObject) else None
        if isinstance(held, generic.DictionaryObject):
            fonts.update({str(name): held[name] for name in held})
    return fonts


def _letters(font: Any) -> _Letters:
    if not isinstance(font, generic.DictionaryObject) or entry(font, "/Subtype") == "/Type3":
        return _Letters(known=False)
    composite = entry(font, "/Subtype") == "/Type0"
    letters = _Letters(width=2 if composite else 1)
    meaning = entry(font, "/ToUnicode")
    if isinstance(meaning, generic.StreamObject):
        letters.codes.update(_meanings(meaning.data))
        return letters
    encoding = entry(font, "/Encoding")
    if isinstance(encoding, generic.DictionaryObject):
        letters.codes.update(_differences(entry(encoding, "/Differences")))
        encoding = entry(encoding, "/BaseEncoding")
    letters.base = "mac_roman" if encoding == "/MacRomanEncoding" else "cp1252"
    letters.known = not composite and str(entry(font, "/BaseFont", "")) not in ("/Symbol", "/ZapfDingbats")
    return letters


def _meanings(table: bytes) -> dict[int, str | None]:
    """A ToUnicode CMap (9.10.3): single codes and ranges."""
    codes: dict[int, str | None] = {}
    for begin, end, kind in ((b"beginbfchar", b"endbfchar", 0), (b"beginbfrange", b"endbfrange", 1)):
        for section in table.split(begin)[1:]:
            body = section.split(end, 1)[0]
            if not kind:
                codes.update({int(code, 16): _utf16(meaning) for code, meaning in _CODE.findall(body)})
                continue
            for first, last, meaning, listed in _CODE_RANGE.findall(body):
                start, stop = int(first, 16), min(int(last, 16), int(first, 16) + 65535)
                several = re.findall(rb"<([0-9A-Fa-f]+)>", listed)
                for offset in range(stop - start + 1):
                    if listed:
                        codes[start + offset] = _utf16(several[offset]) if offset < len(several) else None
                    else:
                        text = _utf16(meaning)
                        codes[start + offset] = text[:-1] + chr(ord(text[-1]) + offset) if text else None
    return codes


def _utf16(digits: bytes) -> str | None:
    try:
        return bytes.fromhex(digits.decode("ascii")).decode("utf-16-be")
    except ValueError:
        return None


def _differences(listed: Any) -> dict[int, str | None]:
    codes: dict[int, str | None] = {}
    at = 0
    for item in listed if isinstance(listed, generic.ArrayObject) else ():
        if isinstance(item, generic.NumberObject):
            at = int(item)
        elif isinstance(item, generic.NameObject):
            codes[at] = _glyph(str(item)[1:])
            at += 1
    return codes


def _glyph(name: str) -> str | None:
    """The letter of a glyph's name, for the names that forms have."""
    if len(name) == 1:
        return name
    if name in _NAMED:
        return _NAMED[name]
    mark = _MARKS.get(name[1:])
    return unicodedata.normalize("NFC", name[0] + chr(mark)) if mark else None
