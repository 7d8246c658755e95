"""One call of the command line: its surroundings, and the judge process if one was started ahead. Quick to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from api.cli.parser import TypedPath
from api.words import Words
from signer.sandbox import Judge


@dataclass(frozen=True)
class ActorWish:
    """As whom a command is to act: `--actor NAME`, and the file that holds this person's token. Nothing: who owns the home."""

    name: str | None = None
    token_file: TypedPath | None = None


@dataclass(frozen=True)
class Call:
    """What a command gets besides its options."""

    environment: Mapping[str, str]
    words: Words
    out: TextIO
    err: TextIO
    judge: Judge | None = None
    actor: ActorWish = ActorWish()
