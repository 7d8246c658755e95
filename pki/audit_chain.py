"""Walks chains of audit rows and names each place where one is broken. Constant memory; reads, changes nothing.

`ChainWalk` takes the rows of one chain in the order of their positions, wherever they come from: the database (audit_survey.py) or an
exported file (audit_export.py). It believes no row by itself: a row is in its place when its link follows from the row before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from pki.audit_link import GENESIS, Entry

# More broken places of one chain are counted and not listed.
MOST_LISTED = 20
# Rows that claim one position are kept until it is known which of them belongs there; more than these are not even looked at.
_MOST_RIVALS = 50


class BreakKind(StrEnum):
    """What is wrong at a place of a chain."""

    CHANGED = "changed"  # the row has its place, and is not what was written
    INSERTED = "inserted"  # the row does not belong where it stands: put there, or exchanged
    REMOVED = "removed"  # rows are missing before a row
    TRUNCATED = "truncated"  # rows are missing at the end
    HEAD = "head"  # audit_chains says another last link than the last row has
    UNLINKED = "unlinked"  # a row without a chain, or of one that audit_chains does not know
    CHAINLESS = "chainless"  # audit_chains does not know the chain at all
    REWRITTEN = "rewritten"  # the chain is whole, but is not the one that a checkpoint saw
    FORGOTTEN = "forgotten"  # the chain ends before the place that a checkpoint saw


@dataclass(frozen=True)
class Break:
    """One broken place. `until` is the last missing position; what is known of the row is empty where there is none."""

    chain: int
    kind: BreakKind
    position: int
    until: int | None = None
    seq: int | None = None
    time: str = ""
    actor: str = ""
    action: str = ""
    subject: str = ""


@dataclass(frozen=True)
class ChainReport:
    """What became of one chain: how many rows, the last link, broken places (the first ones) and how many there are in all."""

    chain: int
    rows: int
    head: str
    breaks: tuple[Break, ...]
    broken: int

    @property
    def whole(self) -> bool:
        return self.broken == 0


@dataclass(frozen=True)
class Mark:
    """What somebody remembers of a chain: the link at a position. Position 0 is the beginning of every chain."""

    position: int
    link: str


@dataclass(frozen=True, slots=True)
class _Rival:
    """A row that claims a position. `after`: the link of the row before that it follows from, empty when it follows from none.

    `made`: the link it should have, where it has another. `known` is False where nothing is known of the row before.
    """

    entry: Entry
    after: bytes = b""
    made: tuple[bytes, ...] = ()
    known: bool = True

    def links(self) -> tuple[bytes, ...]:
        """What the next row may follow from."""
        return (self.entry.link, *self.made)


@dataclass
class ChainWalk:
    """The walk along one chain from after `start`. `take` every row, then ask for the `report`.

    `watch`: compared with the row at that position when it comes by.
    """

    chain: int
    start: Mark = field(default_factory=lambda: Mark(0, GENESIS))
    watch: Mark | None = None
    _rows: int = 0
    _breaks: list[Break] = field(default_factory=list)
    _broken: int = 0
    _position: int = field(init=False)
    _rivals: list[_Rival] = field(default_factory=list)
    _group: list[Entry] = field(default_factory=list)
    # What the next row may follow from.
    _before: tuple[bytes, ...] = field(init=False)
    _seen: bool = False

    def __post_init__(self) -> None:
        self._position = self.start.position
        self._before = (self.start.link.encode(),)

    def take(self, entry: Entry) -> None:
        """The next row; positions never go down."""
        self._rows += 1
        if self._group and entry.position == self._group[0].position:
            if len(self._group) < _MOST_RIVALS:
                self._group.append(entry)
            else:
                self.note(broken_at(entry, BreakKind.INSERTED))
            return
        self._close_group()
        if entry.position <= self._position:
            self.note(broken_at(entry, BreakKind.INSERTED))
        else:
            self._group.append(entry)

    def report(self, end: Mark | None) -> ChainReport:
        """The end of the walk. `end` is how the chain should end, None where nobody knows."""
        self._close_group()
        links, _ = self._settle({end.link.encode()} if end is not None and end.position == self._position else set())
        if end is not None and self._position < end.position:
            self.note(Break(self.chain, BreakKind.TRUNCATED, self._position + 1, until=end.position))
        elif end is not None and (self._position > end.position or end.link.encode() not in links):
            self.note(Break(self.chain, BreakKind.HEAD, self._position))
        if self.watch is not None and not self._has_seen(self.watch):
            kind = BreakKind.FORGOTTEN if self.watch.position > self._position else BreakKind.REWRITTEN
            self.note(Break(self.chain, kind, self.watch.position))
        head = links[0].decode("ascii", "replace")
        return ChainReport(self.chain, self._rows, head, tuple(self._breaks), self._broken)

    def note(self, found: Break) -> None:
        """Remember a broken place."""
        self._broken += 1
        if len(self._breaks) < MOST_LISTED:
            self._breaks.append(found)

    def _has_seen(self, watch: Mark) -> bool:
        return self._seen or watch == self.start

    def _close_group(self) -> None:
        """All rows of a position are there: which of them follow, and what does that say about those before?"""
        if not self._group:
            return
        group, self._group = self._group, []
        position = group[0].position
        if position > self._position + 1:
            self._settle(set())
            gap = broken_at(group[0], BreakKind.REMOVED)
            self.note(replace(gap, position=self._position + 1, until=position - 1))
            rivals = [_Rival(entry, known=False) for entry in group]
        else:
            rivals = [self._judge(entry) for entry in group]
            _, belongs = self._settle({rival.after for rival in rivals if rival.after})
            if not belongs:
                # The row before is none of this chain: nothing can be said about those that come right after it.
                rivals = [replace(rival, known=False) for rival in rivals]
        self._position, self._rivals = position, rivals
        self._before = tuple(link for rival in rivals for link in rival.links())
        if self.watch is not None and self.watch.position == position:
            self._seen = any(rival.entry.link == self.watch.link.encode() for rival in rivals)

    def _judge(self, entry: Entry) -> _Rival:
        made = []
        for link in self._before:
            found = entry.follows(link)
            # A row that cannot be hashed follows nothing, even where its link is as empty as that.
            if found and found == entry.link:
                return _Rival(entry, after=link)
            made.append(found)
        return _Rival(entry, made=tuple(link for link in made[:2] if link))

    def _settle(self, wanted: set[bytes]) -> tuple[tuple[bytes, ...], bool]:
        """Choose among the rows of the last position the one that belongs there, and name the others.

        `wanted`: the links that the next row follows from. Returns the links of the chosen one, and whether it may belong there.
        """
        rivals, self._rivals = self._rivals, []
        if not rivals:
            return self._before, True
        followed = next((rival for rival in rivals if not wanted.isdisjoint(rival.links())), None)
        chosen = followed or next((rival for rival in rivals if rival.after), rivals[0])
        for rival in rivals:
            if rival is not chosen:
                self.note(broken_at(rival.entry, BreakKind.INSERTED))
            elif rival.known and not rival.after:
                self.note(broken_at(rival.entry, BreakKind.CHANGED if followed else BreakKind.INSERTED))
        return chosen.links(), bool(followed or chosen.after or not chosen.known)


def broken_at(entry: Entry, kind: BreakKind) -> Break:
    """A broken place that has a row."""
    return Break(
        chain=entry.chain,
        kind=kind,
        position=entry.position,
        seq=entry.seq,
        time=_text(entry.time),
        actor=_text(entry.actor),
        action=_text(entry.action),
        subject=f"{_text(entry.subject_kind)} {_text(entry.subject_id)}",
    )


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
