"""Deeds: what is done to a token, its key process or its clients while others sign.

They leave to rows.py what may come of each.
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable

from hsm.wire import sign_request
from tests.chaos.load import Load, attributes
from tests.chaos.stage import MAX_SESSIONS, Stage

# How long anything may take before it counts as never.
PATIENCE_SECONDS = 20.0
_GAP_SECONDS = 0.05

# Does what a row is about and returns the moment (time.monotonic) at which it was over.
Deed = Callable[[Stage, Load], float]


def shots(*rules: str, count: int = 5) -> Deed:
    """The same fault several times, far enough apart that no request meets two of them."""

    def deed(stage: Stage, load: Load) -> float:
        for _ in range(count):
            stage.faults.set(*rules)
            moment = time.monotonic()
            load.wait_for_everybody(moment + _GAP_SECONDS)
        return moment

    return deed


def once(*rules: str) -> Deed:
    return shots(*rules, count=1)


def during(seconds: float, *rules: str) -> Deed:
    """A fault that lasts."""

    def deed(stage: Stage, _load: Load) -> float:
        stage.faults.set(*rules)
        time.sleep(seconds)
        stage.faults.clear()
        return time.monotonic()

    return deed


def kill_token_processes(stage: Stage, _load: Load) -> float:
    stage.kill_token_processes()
    return time.monotonic()


def kill_one_token_process(stage: Stage, _load: Load) -> float:
    stage.kill_token_processes(1)
    return time.monotonic()


def in_a_new_process(*rules: str) -> Deed:
    """Faults that the next token process meets from its beginning."""

    def deed(stage: Stage, load: Load) -> float:
        stage.faults.set(*rules)
        return kill_token_processes(stage, load)

    return deed


def move_tokens_away(stage: Stage, _load: Load) -> float:
    """The folder of the token is gone for a while, as a disk that is not mounted or a network HSM that is unplugged."""
    elsewhere = stage.tokens.with_name("elsewhere")
    stage.tokens.rename(elsewhere)
    stage.kill_token_processes()  # SoftHSM keeps what it has read
    stage.wait_until(lambda state: state.state == "away" and state.counts.get("process.died", 0) > 0)
    time.sleep(1.0)
    elsewhere.rename(stage.tokens)
    return time.monotonic()


def replace_module(stage: Stage, _load: Load) -> float:
    """The module's file is something else for a while, as in the middle of an upgrade."""
    kept = stage.module.with_name("kept.so")
    stage.module.rename(kept)
    stage.module.write_bytes(b"not yet a module")
    stage.kill_token_processes()
    stage.wait_until(lambda state: state.state == "away" and not any(process.pid for process in state.processes))
    time.sleep(0.5)
    kept.replace(stage.module)
    return time.monotonic()


def remove_sockets(stage: Stage, load: Load) -> float:
    """Somebody tidies up. Those who are connected go on; the row's own store is asked by threads that come later."""
    for name in ("keyd.sock", "keyd-state.sock"):
        (stage.run_folder / name).unlink()
    moment = time.monotonic()
    stage.wait_until_well()
    store = stage.store()
    try:
        assert store.list_keys()
    finally:
        store.close()
    assert load.record.requests
    return moment


def kill_keeper_and_start_another(stage: Stage, _load: Load) -> float:
    """What a service does that watches its keeper."""
    stage.kill_keeper()
    stage.keepers[-1].wait(10)
    stage.ensure_started()
    return time.monotonic()


def kill_keeper(stage: Stage, _load: Load) -> float:
    stage.kill_keeper()
    return time.monotonic()


def never_read(stage: Stage, load: Load) -> float:
    """As many clients as there are sessions ask without end and read no answer, until they are dropped."""
    ask = b"".join(sign_request(load.public_key_der, [attributes(0)] * 32, "ecdsa", "sha256"))
    moment = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(stage.connection()) for _ in range(MAX_SESSIONS)]
        while clients and time.monotonic() < moment + PATIENCE_SECONDS:
            for client in list(clients):
                try:
                    client.send(ask, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue  # as full as it gets
                except ConnectionError:
                    clients.remove(client)
            time.sleep(0.01)
    return moment


def lie(stage: Stage, _load: Load) -> float:
    """Clients send what is no request: random octets, lengths that are not true, requests cut short."""
    drawn = random.Random(4)
    ask = b"".join(sign_request(b"key", [attributes(0)] * 3, "ecdsa", "sha256"))
    lies = [drawn.randbytes(drawn.randrange(1, 300)) for _ in range(100)]
    lies += [ask[:cut] for cut in range(1, len(ask), 3)]
    for _ in range(100):
        changed = bytearray(ask)
        changed[drawn.randrange(len(ask))] ^= 1 << drawn.randrange(8)
        lies.append(bytes(changed))
    for each in lies:
        with stage.connection() as client, contextlib.suppress(ConnectionError):
            client.settimeout(10)
            client.send(each)
            # An error is told, or the connection closed; nothing is done.
            assert client.recv(65536)[1:2] in (b"", b"\x01")
    return time.monotonic()


def wrong_pin_then_mended(stage: Stage, _load: Load) -> float:
    """Somebody changes the PIN file, and then the token forgets the login."""
    right = stage.pin_file.read_text("utf-8")
    stage.write_pin("0000\n")
    stage.faults.set("C_SignInit nth 1 forget-login")
    stage.wait_until(lambda state: state.is_pin_refused)
    time.sleep(1.0)  # and nobody tries again meanwhile
    stage.write_pin(right)
    return time.monotonic()


def wrong_pin_for_all_then_mended(stage: Stage, _load: Load) -> float:
    """The same, and each token process loses its login at the same time: one asks for all."""
    right = stage.pin_file.read_text("utf-8")
    stage.write_pin("0000\n")
    stage.faults.set("C_SignInit always forget-login")
    stage.wait_until(lambda state: all(process.breaker == "pin" for process in state.processes))
    stage.faults.clear()
    time.sleep(1.0)
    stage.write_pin(right)
    return time.monotonic()


def locked_pin_then_unlocked(stage: Stage, _load: Load) -> float:
    """The token has locked the PIN; a person unlocks it and says so by touching the file."""
    stage.faults.set("C_Login always lock-pin 0", "C_SignInit nth 1 forget-login")
    stage.wait_until(lambda state: state.is_pin_refused)
    time.sleep(1.0)
    stage.faults.clear()
    stage.pin_file.touch()
    return time.monotonic()
