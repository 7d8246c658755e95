"""Starts the judge process ahead, so that it imports pyHanko while this process imports the rest. Quick to import itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from api.home import locate_home
from api.settings import Settings, load_settings
from signer.sandbox import Bounds, Judge, Limits

# Which tasks of the judge process a command is going to need.
_AHEAD = {
    "verify": ("gather",), "sign": ("prepare",), "prepare": ("prepare",), "finish": ("gather",), "upgrade": ("gather", "extend"),
    "demo": ("prepare", "gather"), "check": ("inspect",), "print": ("gather", "render"), "preview": ("prepare", "preview"),
}  # fmt: skip

# Tasks that read what strangers bring, and their authorities' answers; all others prepare what we sign.
_JUDGING = ("gather", "revocation")
_SERVED_TASKS = 2000


def judge_limits(settings: Settings) -> Limits:
    """What the judge process may use."""
    wanted = settings.validation
    judging = _bounds(wanted.memory_mb, wanted.seconds)
    # What is allowed for a stranger's file is allowed for one that is to be signed.
    preparing = _bounds(max(wanted.prepare_memory_mb, wanted.memory_mb), max(wanted.prepare_seconds, wanted.seconds))
    return Limits(**asdict(preparing), narrower=dict.fromkeys(_JUDGING, judging))


def _bounds(megabytes: int, seconds: float) -> Bounds:
    return Bounds(megabytes * 1024 * 1024, max(1, int(seconds)), seconds)


def serving_limits(settings: Settings) -> Limits:
    """The same for a process that serves many: a new judge process costs as much as judging a hundred small files."""
    return replace(judge_limits(settings), tasks=_SERVED_TASKS)


def start_judge(command: str, environment: Mapping[str, str]) -> Judge | None:
    """Start the judge process for the commands that need one, so that it imports pyHanko while we import the rest."""
    tasks = _AHEAD.get(command)
    if tasks is None:
        return None
    settings = load_settings(locate_home(environment).settings_file, environment)
    judge = Judge(serving_limits(settings), preload=tasks)
    judge.start()
    return judge
