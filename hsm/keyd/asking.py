"""Asking a keeper: how it is doing, and whether it would make room for one that stays."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from hsm.channel import limit_times, peer_of, receive, send
from hsm.errors import HSMError
from hsm.keyd.places import STATE_SOCKET, check_run_folder
from hsm.keyd.state import KeyState, state_from_json
from hsm.wire import Op, parse_answer, parse_body, refused, request

_ANSWER_SECONDS = 2.0


def read_state(run_folder: Path) -> KeyState | None:
    """What the keeper of this run folder says; None when there is none that answers. Starts nothing."""
    try:
        check_run_folder(run_folder)
        return state_from_json(_ask(run_folder, Op.STATE))
    except (OSError, HSMError):
        return None


def ask_to_step_aside(run_folder: Path, *, asked: bool) -> bool:
    """Whether the keeper that is there is an ephemeral one; with `asked`, such a one goes. OSError when none answers."""
    if asked:
        return bool(_ask(run_folder, Op.STEP_ASIDE).get("ephemeral"))
    return bool(_ask(run_folder, Op.STATE).get("ephemeral"))


def check_server(connection: socket.socket, run_folder: Path) -> None:
    """Raise MessageRefused unless the other side is run by us, by root, or by the owner of the folder."""
    if peer_of(connection)[1] not in (os.geteuid(), 0, run_folder.stat().st_uid):
        raise refused("the key process is somebody else's")


def _ask(run_folder: Path, op: Op) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        limit_times(connection, sending=_ANSWER_SECONDS, receiving=_ANSWER_SECONDS)
        connection.connect(str(run_folder / STATE_SOCKET))
        check_server(connection, run_folder)
        send(connection, request(op))
        message = receive(connection)
        if not message:
            raise ConnectionResetError("no answer")
        return parse_body(parse_answer(message))
