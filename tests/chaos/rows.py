"""Rows: all that is done to a token, its key process or its clients while others sign, and what may come of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.chaos.deeds import (
    during,
    in_a_new_process,
    kill_keeper,
    kill_keeper_and_start_another,
    kill_one_token_process,
    kill_token_processes,
    lie,
    locked_pin_then_unlocked,
    move_tokens_away,
    never_read,
    once,
    remove_sockets,
    replace_module,
    shots,
    wrong_pin_for_all_then_mended,
    wrong_pin_then_mended,
)
from tests.chaos.load import Load
from tests.chaos.row import Outcome, Row, run_row
from tests.chaos.stage import MAX_SESSIONS, PROCESSES, Stage

AWAY = "HSM_TOKEN_AWAY"
PIN_WRONG = "HSM_PIN_WRONG"
PIN_LOCKED = "HSM_PIN_LOCKED"
NO_SESSION = "HSM_SESSION_UNAVAILABLE"
NOT_SIGNED = "HSM_SIGNING_FAILED"
NO_MECHANISM = "HSM_MECHANISM_UNAVAILABLE"


def run_soak(stage: Stage, public_key_der: bytes, signatures: int, threads: int = 16) -> Outcome:
    """Random faults of every kind that is recovered from, until so many signatures were handed out meanwhile."""

    def deed(stage: Stage, load: Load) -> float:
        stage.faults.set(*RANDOM_FAULTS)
        before = _handed_out(load)
        while _handed_out(load) - before < signatures:
            time.sleep(0.25)
        stage.faults.clear()
        return time.monotonic()

    return run_row(Row("random faults", deed, threads=threads), stage, public_key_der)


def _handed_out(load: Load) -> int:
    return len(load.record.requests) - load.record.lost.total()


# --- the rows ---------------------------------------------------------------------------------------------------------


def _logged_in_again(times: int) -> Callable[[Outcome], None]:
    def check(outcome: Outcome) -> None:
        asked = outcome.calls.calls["C_Login"]
        assert asked == times, f"{asked} PINs, {outcome.events}"

    return check


def _not_tried_again(outcome: Outcome) -> None:
    met = outcome.calls.faults["C_SignInit"]
    assert (met, outcome.repeated) == (outcome.lost.total(), outcome.lost.total())


def _one_pin_asked(outcome: Outcome) -> None:
    # Once with the wrong PIN, once with the mended one, and not once between.
    asked = (outcome.calls.wrong_pins, outcome.calls.calls["C_Login"])
    assert asked == (1, 2), f"{asked} PINs wrong and in all, {outcome.events}"


def _one_pin_refused(outcome: Outcome) -> None:
    # By all token processes together.
    assert outcome.calls.wrong_pins == 1, outcome.events


def _fair(outcome: Outcome) -> None:
    each = outcome.record.by_thread()
    assert len(each) == 64
    # The clients are threads of one interpreter, which is not fair itself; a store that is not would starve some.
    assert min(each.values()) * 20 >= max(each.values()), each
    assert outcome.most_sessions <= MAX_SESSIONS + PROCESSES


def _alarm(outcome: Outcome) -> None:
    told = outcome.events.get("signature.mismatch")
    assert (outcome.calls.faults["C_Sign"], told) == (5, 5)


_IN_A_SESSION = (
    *(
        Row(
            f"`{rv}` from `{function}`, 5 times",
            shots(f"{function} nth 1 return {rv}"),
            counted=frozenset({"session.dropped"}),
        )
        for function, rv in (
            ("C_SignInit", "CKR_OPERATION_ACTIVE"),
            ("C_Sign", "CKR_OPERATION_NOT_INITIALIZED"),
            ("C_Sign", "CKR_FUNCTION_CANCELED"),
        )
    ),
    Row(
        "a signature was made and its answer lost (`CKR_FUNCTION_CANCELED`), 5 times",
        shots("C_Sign nth 1 lose CKR_FUNCTION_CANCELED"),
        counted=frozenset({"session.dropped"}),
    ),
    *(
        Row(
            f"`{rv}` from `C_SignInit`, 5 times",
            shots(f"C_SignInit nth 1 return {rv}"),
            counted=frozenset({"session.dropped", "handles.forgotten"}),
        )
        for rv in (
            "CKR_SESSION_HANDLE_INVALID",
            "CKR_SESSION_CLOSED",
            "CKR_OBJECT_HANDLE_INVALID",
            "CKR_KEY_HANDLE_INVALID",
        )
    ),
    Row(
        "every session dropped for real, and with them the login, 3 times",
        shots("C_SignInit nth 1 drop-sessions", count=3),
        counted=frozenset({"handles.forgotten", "login.renewed"}),
        check=_logged_in_again(3),
    ),
)
_LOGIN = (
    Row(
        "`CKR_USER_NOT_LOGGED_IN` from `C_SignInit`, 3 times",
        shots("C_SignInit nth 1 return CKR_USER_NOT_LOGGED_IN", count=3),
    ),
    Row(
        "the login forgotten for real, 3 times",
        shots("C_SignInit nth 1 forget-login", count=3),
        counted=frozenset({"login.renewed"}),
        check=_logged_in_again(3),
    ),
    Row(
        "the login forgotten, the PIN file wrong; mended after 1 s",
        wrong_pin_then_mended,
        may_lose=frozenset({PIN_WRONG, AWAY}),
        most_lost=2000,
        replaced=True,
        counted=frozenset({"breaker.pin"}),
        check=_one_pin_asked,
    ),
    Row(
        "every login forgotten at once, the PIN file wrong; mended after 1 s",
        wrong_pin_for_all_then_mended,
        may_lose=frozenset({PIN_WRONG, AWAY}),
        most_lost=2000,
        replaced=True,
        counted=frozenset({"breaker.pin"}),
        check=_one_pin_refused,
    ),
    Row(
        "the login forgotten, the PIN locked; unlocked after 1 s",
        locked_pin_then_unlocked,
        may_lose=frozenset({PIN_LOCKED, AWAY}),
        most_lost=2000,
        replaced=True,
        counted=frozenset({"breaker.pin"}),
        check=_logged_in_again(2),
    ),
)
_REPLACED = (
    *(
        Row(
            f"`{rv}` from `C_Sign`, once",
            once(f"C_Sign nth 1 return {rv}"),
            may_lose=frozenset({AWAY}),
            most_lost=16,
            replaced=True,
            counted=frozenset({"breaker.opened", "breaker.half-open", "breaker.closed"}),
        )
        for rv in (
            "CKR_DEVICE_REMOVED",
            "CKR_TOKEN_NOT_PRESENT",
            "CKR_DEVICE_ERROR",
            "CKR_GENERAL_ERROR",
            "CKR_CRYPTOKI_NOT_INITIALIZED",
            "CKR_FUNCTION_FAILED",
        )
    ),
    Row(
        "`CKR_DEVICE_ERROR` from every `C_Sign` for 1.5 s",
        during(1.5, "C_Sign always return CKR_DEVICE_ERROR"),
        may_lose=frozenset({AWAY}),
        most_lost=2000,
        well_within=8.0,
        replaced=True,
        counted=frozenset({"breaker.opened", "breaker.half-open", "breaker.closed"}),
    ),
    Row(
        "one call hangs",
        once("C_Sign nth 1 hang"),
        may_lose=frozenset({AWAY}),
        most_lost=16,
        well_within=8.0,
        replaced=True,
        counted=frozenset({"process.hangs"}),
    ),
    Row(
        "the login hangs in a new process",
        in_a_new_process("C_Login nth 1 hang"),
        may_lose=frozenset({AWAY}),
        most_lost=8000,
        well_within=20.0,
        replaced=True,
        counted=frozenset({"process.hangs"}),
    ),
    Row(
        "the module crashes the process",
        once("C_Sign nth 1 crash"),
        may_lose=frozenset({AWAY}),
        most_lost=16,
        replaced=True,
        counted=frozenset({"process.died", "breaker.closed"}),
    ),
    Row(
        "kill -9 of one token process while another serves",
        kill_one_token_process,
        replaced=True,
        counted=frozenset({"process.died", "breaker.closed"}),
    ),
    Row(
        "kill -9 of every token process",
        kill_token_processes,
        may_lose=frozenset({AWAY}),
        most_lost=16,
        replaced=True,
        counted=frozenset({"process.died", "breaker.closed"}),
    ),
    Row(
        "the token's folder moved away, and returned after 1 s",
        move_tokens_away,
        may_lose=frozenset({AWAY}),
        most_lost=8000,
        well_within=8.0,
        replaced=True,
        counted=frozenset({"breaker.opened", "breaker.closed"}),
    ),
    Row(
        "the module's file replaced by rubbish, and returned after 0.5 s",
        replace_module,
        may_lose=frozenset({AWAY}),
        most_lost=8000,
        well_within=8.0,
        replaced=True,
        counted=frozenset({"breaker.opened", "breaker.closed"}),
    ),
)
# Signatures that take long enough for every session to be wanted at once.
_BUSY = "C_Sign always delay 5"
_ROOM = (
    Row(
        "every session dropped, and then room for 2 only in each process, for 1 s",
        during(1.0, "C_OpenSession always limit 2", "C_SignInit nth 1 drop-sessions"),
        counted=frozenset({"login.renewed"}),
    ),
    Row(
        "each new process finds room for 2 only",
        in_a_new_process("C_OpenSession always limit 2", _BUSY),
        may_lose=frozenset({AWAY}),
        most_lost=16,
        replaced=True,
        counted=frozenset({"pool.shrunk"}),
    ),
    *(
        Row(
            f"`{rv}` from `C_SignInit`, 2 times",
            shots(f"C_SignInit nth 1 return {rv}", count=2),
            counted=frozenset({"pool.shrunk"}),
        )
        for rv in ("CKR_HOST_MEMORY", "CKR_DEVICE_MEMORY")
    ),
    Row("each signature takes 50 ms for 1 s", during(1.0, "C_Sign always delay 50")),
    Row("64 clients on 4 sessions", lambda *_: time.monotonic(), threads=64, check=_fair),
)
_CLIENTS = (
    Row(
        "the socket files removed",
        remove_sockets,
        counted=frozenset({"socket.restored"}),
    ),
    Row("4 clients that never read their answers", never_read, counted=frozenset({"client.dropped"})),
    Row("300 messages that are no requests", lie, counted=frozenset({"message.refused"})),
    Row(
        "kill -9 of the keeper, which a service starts again",
        kill_keeper_and_start_another,
        may_lose=frozenset({AWAY}),
        most_lost=2000,
        well_within=5.0,
        replaced=True,
    ),
    Row(
        "kill -9 of the keeper, and a command starts its own",
        kill_keeper,
        may_lose=frozenset({AWAY}),
        most_lost=16,
        well_within=5.0,
        replaced=True,
        by_command=True,
    ),
)
_CONFIGURATION = tuple(
    Row(
        f"`{rv}` from `C_SignInit`, 5 times",
        shots(f"C_SignInit nth 1 return {rv}"),
        may_lose=frozenset({code}),
        most_lost=5,
        check=_not_tried_again,
    )
    for rv, code in (
        ("CKR_MECHANISM_INVALID", NO_MECHANISM),
        ("CKR_KEY_TYPE_INCONSISTENT", NO_MECHANISM),
        ("CKR_KEY_FUNCTION_NOT_PERMITTED", NO_MECHANISM),
        ("CKR_ATTRIBUTE_TYPE_INVALID", NOT_SIGNED),
        ("CKR_ATTRIBUTE_VALUE_INVALID", NOT_SIGNED),
    )
)
_WRONG_SIGNATURES = (
    Row(
        "one bit of a signature turned over, 5 times",
        shots("C_Sign nth 1 corrupt"),
        may_lose=frozenset({NOT_SIGNED}),
        most_lost=5,
        check=_alarm,
    ),
    Row(
        "every signature corrupted for 0.5 s",
        during(0.5, "C_Sign always corrupt"),
        may_lose=frozenset({NOT_SIGNED, AWAY}),
        most_lost=2000,
        well_within=8.0,
        replaced=True,
        counted=frozenset({"signature.mismatch", "breaker.opened", "breaker.closed"}),
    ),
)

# Rules are looked at in their order, and each has numbers of its own. About one attempt in thirty meets a fault; about one in
# four thousand costs the process.
RANDOM_FAULTS = (
    "C_SignInit probability 0.003 seed 1 return CKR_OPERATION_ACTIVE",
    "C_SignInit probability 0.003 seed 2 return CKR_SESSION_HANDLE_INVALID",
    "C_SignInit probability 0.003 seed 3 return CKR_SESSION_CLOSED",
    "C_SignInit probability 0.003 seed 4 return CKR_KEY_HANDLE_INVALID",
    "C_SignInit probability 0.003 seed 5 return CKR_OBJECT_HANDLE_INVALID",
    "C_SignInit probability 0.0003 seed 6 return CKR_USER_NOT_LOGGED_IN",
    "C_SignInit probability 0.0003 seed 7 forget-login",
    "C_SignInit probability 0.0003 seed 8 drop-sessions",
    "C_SignInit probability 0.0002 seed 9 return CKR_DEVICE_MEMORY",
    "C_SignInit probability 0.0002 seed 10 return CKR_HOST_MEMORY",
    "C_OpenSession probability 0.002 seed 11 return CKR_SESSION_COUNT",
    "C_FindObjectsInit probability 0.002 seed 12 return CKR_SESSION_HANDLE_INVALID",
    "C_SignInit probability 0.001 seed 13 return CKR_FUNCTION_CANCELED",
    "C_Sign probability 0.003 seed 14 return CKR_OPERATION_NOT_INITIALIZED",
    "C_Sign probability 0.003 seed 15 lose CKR_FUNCTION_CANCELED",
    "C_Sign probability 0.003 seed 16 corrupt",
    "C_Sign probability 0.003 seed 17 delay 20",
    "C_Sign probability 0.00005 seed 18 return CKR_DEVICE_ERROR",
    "C_Sign probability 0.00005 seed 19 lose CKR_GENERAL_ERROR",
    "C_Sign probability 0.00005 seed 20 return CKR_DEVICE_REMOVED",
    "C_Sign probability 0.00005 seed 21 crash",
    "C_Sign probability 0.00003 seed 22 hang",
)

SECTIONS: dict[str, tuple[Row, ...]] = {
    "Mended in the session: nobody hears of it": _IN_A_SESSION,
    "The login": _LOGIN,
    "The process is replaced": _REPLACED,
    "Room": _ROOM,
    "Keeper, sockets, clients": _CLIENTS,
    "Configuration: told at once, never tried again": _CONFIGURATION,
    "Wrong signatures: an alarm, never an answer": _WRONG_SIGNATURES,
}
ROWS = tuple(row for rows in SECTIONS.values() for row in rows)
