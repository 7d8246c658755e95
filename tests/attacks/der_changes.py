"""Changes of DER that keep it DER: an element of the tree gives way to another, and all lengths around it are right again.

Of octets changed blindly, forty-nine of fifty fall at the outermost length, and what stands within is never read.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_DEEPEST = 40
# Contents that numbers, times and names are seldom made of.
_CONTENTS = (
    b"", b"\x00", b"\xff", b"\x80" + bytes(20), b"\x7f" * 200, b"\x02\x01\x00", b"\x30\x00", b"99991231235959Z", b"\x2a\x03", b"\xc3", b"\x01",
)  # fmt: skip


@dataclass
class Element:
    """One element: its first octet, and what it holds."""

    tag: int
    content: bytes
    children: list[Element] = field(default_factory=list)

    def encoded(self) -> bytes:
        content = b"".join(child.encoded() for child in self.children) if self.children else self.content
        if len(content) < 128:
            return bytes([self.tag, len(content)]) + content
        length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
        return bytes([self.tag, 0x80 | len(length)]) + length + content

    def below(self) -> list[Element]:
        """This and all that stand in it."""
        return [self, *(each for child in self.children for each in child.below())]


def elements(octets: bytes, depth: int = 0) -> list[Element]:
    """The elements that octets are, one behind the other; ValueError for anything else. Strings that hold elements are opened too."""
    found, at = [], 0
    while at < len(octets):
        if at + 2 > len(octets) or octets[at] & 0x1F == 0x1F:
            raise ValueError("no element of one octet of tag")
        tag, length, begin = octets[at], octets[at + 1], at + 2
        if length >= 0x80:
            begin += length & 0x7F
            length = int.from_bytes(octets[at + 2 : begin], "big")
        if (length == 0 and octets[at + 1] == 0x80) or begin + length > len(octets):
            raise ValueError("a length of something else")
        content = octets[begin : begin + length]
        children: list[Element] = []
        if depth < _DEEPEST and (tag & 0x20 or tag == 0x04):
            try:
                children = elements(content, depth + 1)
            except ValueError:
                children = []
        found.append(Element(tag, content, children))
        at = begin + length
    return found


def changed_der(octets: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    """One to three changes in the tree; ValueError where the octets are no DER."""
    roots = elements(octets)
    for _ in range(dice.randint(1, 3)):
        every = [each for root in roots for each in root.below()]
        chosen = dice.choice(every)
        kind = dice.randrange(6)
        if kind == 0:
            chosen.tag = dice.choice(
                (chosen.tag ^ 0x20, chosen.tag ^ 1, 0x02, 0x04, 0x05, 0x06, 0x0A, 0x30, 0x31, 0x80, 0xA0, 0xA1)
            )
        elif kind == 1:
            chosen.content, chosen.children = dice.choice(_CONTENTS), []
        elif kind == 2 and chosen.children:
            chosen.children.pop(dice.randrange(len(chosen.children)))
        elif kind == 3 and chosen.children:
            chosen.children.insert(dice.randrange(len(chosen.children)), dice.choice(chosen.children))
        elif kind == 4 and chosen.children:
            dice.shuffle(chosen.children)
        else:
            # Read anew, so that it cannot hold the chosen one.
            other = dice.choice([each for root in elements(dice.choice(others)) for each in root.below()])
            chosen.tag, chosen.content, chosen.children = other.tag, other.content, other.children
    return b"".join(root.encoded() for root in roots)
