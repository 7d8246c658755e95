"""Starts the judge process ahead, so that it imports pyHanko while this process imports the rest. Quick to import itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from api.home import locate_home
from api.settings import Settings, load_settings
from signer.sandbox import Judge, Limits

# Which tasks of the judge process a command is going to need.
_AHEAD = {
    "verify": ("gather",), "sign": ("prepare",), "prepare": ("prepare",), "finish": ("gather",), "upgrade": ("gather", "extend"),
    "demo": ("prepare", "gather"), "check": ("inspect",), "print": ("gather", "render"), "preview": ("prepare", "preview"),
}  # fmt: skip


_SERVED_TASKS = 2000


def judge_limits(settings: Settings) -> Limits:
    """What the judge process may use."""
    wanted = settings.validation
    return Limits(
        memory_bytes=wanted.memory_mb * 1024 * 1024,
        cpu_seconds=max(1, int(wanted.seconds)),
        wall_seconds=wanted.seconds,
    )


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
