"""Words of letters that a font lacks, set beforehand in fonts that have them. Values alone.

`shaping.py` makes them, in a process of its own; `lines.py` draws with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Glyph = tuple[int, int, int, int]
"""Its number in the part, how far it moves on, and how far it is moved to the right and up: thousandths of the size."""


@dataclass(frozen=True)
class Cluster:
    """Glyphs that belong to the letters from `start` in their word, as they stand from left to right. Nothing is broken within.

    `spoken`: what the glyphs say one by one are these letters; otherwise the letters have to be told beside them.
    """

    start: int
    spoken: bool
    glyphs: tuple[Glyph, ...]

    @property
    def width(self) -> int:
        return sum(advance for _, advance, _, _ in self.glyphs)


@dataclass(frozen=True)
class Run:
    """Letters of a word that one font sets, in their logical order. `free`: lines may end between any of them.

    `part`: the font among those of the supplement. `ascent`, `descent`: of what is drawn.
    """

    start: int
    end: int
    part: int
    free: bool
    ascent: int
    descent: int
    clusters: tuple[Cluster, ...]


def words_to_json(words: Mapping[str, tuple[Run, ...]]) -> dict[str, Any]:
    """Words as they stand in a derived file."""
    return {
        word: [
            [run.start, run.end, run.part, run.free, run.ascent, run.descent, [[c.start, c.spoken, c.glyphs] for c in run.clusters]]
            for run in runs
        ]
        for word, runs in words.items()
    }  # fmt: skip


def words_from_json(values: Mapping[str, Any]) -> dict[str, tuple[Run, ...]]:
    """The words of `words_to_json`."""
    return {
        word: tuple(
            Run(
                row[0],
                row[1],
                row[2],
                row[3],
                row[4],
                row[5],
                tuple(Cluster(start, spoken, tuple(tuple(one) for one in glyphs)) for start, spoken, glyphs in row[6]),
            )
            for row in rows
        )
        for word, rows in values.items()
    }
