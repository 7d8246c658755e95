"""`antin hsm`: how the token is doing, which keys are in it, how fast it signs."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table
from api.key_uses import KeyUse, key_uses
from api.keys import module_path
from api.signing_speed import Speed, measure
from api.wiring import Installation, open_installation
from hsm.errors import KeyNotProtected, KeyProcessFailed
from hsm.keyd.state import KeyState, ProcessState, Sessions
from hsm.spec import KeyRef


@dataclass(frozen=True)
class _Key:
    """A row of `keys`. `state`: ok, not-protected, no-purpose or destroyed."""

    ref: KeyRef
    use: KeyUse | None
    state: str


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    with open_installation(call.environment) as installation:
        if options.action == "keys":
            return _keys(options, installation, call)
        if options.action == "bench":
            return _bench(options, installation, call)
        return _status(options, installation, call)


def _status(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """Exit 5 unless keys can be used."""
    told = _state(installation)
    if options.json:
        more = {"sessions_allowed": installation.settings.hsm.max_sessions}
        print_json(call.out, [_state_as_json(told) | more])
        return 0 if told.state == "ok" else 5
    heading = [
        call.words.say(f"COLUMN_{name}")
        for name in ("TOKEN", "STATE", "SESSIONS", "SESSIONS_ALLOWED", "TOKEN_LIMIT", "BREAKER", "REASON", "MODULE")
    ]
    # Each token process keeps its login in a session of its own, beside those that sign.
    allowed = f"{installation.settings.hsm.max_sessions} + {max(1, len(told.processes))}"
    row = [told.token, told.state, str(told.sessions.open), allowed]
    row += [_token_limit(told.sessions, call), told.breaker, told.reason or "–", told.module]
    print_table(call.out, [heading, row])
    if len(told.processes) > 1:
        heading = [call.words.say(f"COLUMN_{name}") for name in ("PROCESS", "STATE", "SESSIONS", "BREAKER")]
        print_table(call.out, [heading, *map(_process_row, told.processes)])
    if told.counts:
        heading = [call.words.say(f"COLUMN_{name}") for name in ("EVENT", "COUNT")]
        print_table(call.out, [heading, *([event, str(count)] for event, count in sorted(told.counts.items()))])
    return 0 if told.state == "ok" else 5


def _process_row(process: ProcessState) -> list[str]:
    return [str(process.pid or "–"), process.state, str(process.sessions.open), process.breaker]


def _token_limit(sessions: Sessions, call: Call) -> str:
    """What the token itself allows; most name no limit."""
    return call.words.say("TOKEN_LIMIT_NONE") if sessions.limit is None else str(sessions.limit)


def _state(installation: Installation) -> KeyState:
    """What the key process says of itself. Where none runs, one is started for the question and ends with it."""
    told = installation.keys.settled_state()
    if told is not None:
        return told
    settings = installation.settings
    module = installation.home.root / module_path(settings)
    return KeyState("away", "open", KeyProcessFailed.code, None, 0, str(module), settings.hsm.token_label)


def _state_as_json(told: KeyState) -> dict[str, object]:
    return {
        "module": told.module,
        "token": told.token,
        "state": told.state,
        "sessions": asdict(told.sessions),
        "pid": told.pid,
        "processes": [asdict(each) for each in told.processes],
        "keeper_pid": told.keeper_pid,
        "breaker": told.breaker,
        "reason": told.reason,
        "retry_after": told.retry_after,
        "since_seconds": told.since_seconds,
        "counts": told.counts,
    }


def _keys(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    rows = _rows(installation)
    if options.json:
        print_json(call.out, [_as_json(row) for row in rows])
        return 0
    heading = [call.words.say(f"COLUMN_{name}") for name in ("LABEL", "PURPOSE", "KIND", "STATE", "USED_BY", "KEY_ID")]
    table = [
        [
            row.ref.label,
            row.ref.purpose or "–",
            row.ref.spec,
            row.state,
            f"{row.use.kind} {row.use.name}" if row.use else "–",
            row.ref.key_id.hex(),
        ]
        for row in rows
    ]
    print_table(call.out, [heading, *table])
    return 0


def _rows(installation: Installation) -> list[_Key]:
    uses = key_uses(installation.database)
    kept = [_Key(ref, uses.get(ref.public_key_der), _life(ref, installation)) for ref in installation.keys.list_keys()]
    gone = [_Key(ref, uses.get(ref.public_key_der), "destroyed") for ref in installation.keys.list_destroyed()]
    return kept + gone


def _life(ref: KeyRef, installation: Installation) -> str:
    try:
        installation.keys.check_protected(ref.public_key_der)
    except KeyNotProtected:
        return "not-protected"
    return "ok" if ref.purpose is not None else "no-purpose"


def _as_json(row: _Key) -> dict[str, object]:
    return {
        "label": row.ref.label,
        "purpose": row.ref.purpose,
        "spec": row.ref.spec,
        "key_id": row.ref.key_id.hex(),
        "used_by": {"kind": row.use.kind, "name": row.use.name} if row.use else None,
        "state": row.state,
    }


def _bench(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    # One token process is measured, and has no more than its share of the sessions.
    share = max(1, installation.settings.hsm.max_sessions // max(1, len(_state(installation).processes)))
    speeds = measure(installation.keys, options.seconds, share, acting(call, installation))
    if options.json:
        print_json(call.out, [asdict(each) for each in speeds])
        return 0
    heading = [
        call.words.say(f"COLUMN_{name}") for name in ("KIND", "SESSIONS", "PER_SECOND", "OPENSSL_PER_SECOND", "RATIO")
    ]
    print_table(call.out, [heading, *map(_speed_row, speeds)])
    return 0


def _speed_row(speed: Speed) -> list[str]:
    return [
        speed.algorithm,
        str(speed.sessions),
        f"{speed.per_second:,.0f}",
        f"{speed.openssl_per_second:,.0f}",
        f"{speed.ratio:.2f}",
    ]
