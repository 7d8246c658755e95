"""Several token processes under one keeper: what they share, what each does alone, and that no PIN is asked with twice."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm.client import read_state
from hsm.connections import Broken, Connection, NotSent
from hsm.errors import HSMError, KeyDestroyed, KeyPurposeSet, MessageRefused, TokenAway
from hsm.keyd.places import LOCK, count_lanes, is_locked, socket_name
from hsm.keyd.refs import ref_from_json
from hsm.spec import KeyRef, KeySpec, Purpose
from hsm.wire import Op, octets, parse_body, parse_signatures, request, sign_request
from tests.key_process import KeyProcessHome, document_key, is_alive, kill, sign, until
from tests.signable import SHA256, attributes

ECDSA = ec.ECDSA(SHA256)
LANES = (0, 1)


def all_serve(home: KeyProcessHome) -> bool:
    state = read_state(home.run)
    return state is not None and [process.state for process in state.processes] == ["ok", "ok"]


@pytest.fixture
def lanes(key_home):
    """A keeper with two token processes that serve."""
    key_home.start(processes=2)
    assert until(lambda: all_serve(key_home))
    return key_home


def ask(home: KeyProcessHome, lane: int, pieces: list[bytes]) -> bytes:
    connection = Connection(home.run, lane, 10.0)
    try:
        return connection.ask(pieces)
    finally:
        connection.close()


def sign_in(home: KeyProcessHome, lane: int, ref: KeyRef) -> None:
    message = attributes(lane)
    (signature,) = parse_signatures(ask(home, lane, sign_request(ref.public_key_der, [message], "ecdsa", "sha256")))
    ref.public_key().verify(signature, message, ECDSA)


def labels_in(home: KeyProcessHome, lane: int, op: Op) -> list[str]:
    return [ref_from_json(ref).label for ref in parse_body(ask(home, lane, request(op)))["refs"]]


def test_they_share_the_sessions_and_the_state_tells_of_each(lanes):
    ref = document_key(lanes.store())
    store = lanes.store()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: sign(store, ref, number), range(200)))
    assert until(lambda: lanes.state().sessions.open > 2)
    state = lanes.state()
    assert (state.state, state.breaker, len(state.processes)) == ("ok", "closed", 2)
    assert state.pid == state.processes[0].pid != state.processes[1].pid
    # Each has its share of the eight, and the session that holds its login.
    assert all(process.sessions.open <= 5 for process in state.processes)


def test_the_connections_of_a_store_are_spread_over_them(lanes):
    store = lanes.store()
    taken = [store._connections.take() for _ in range(6)]
    assert sorted(connection.lane for connection in taken) == [0, 0, 0, 1, 1, 1]
    for connection in taken:
        connection.close()


def test_a_key_is_made_named_and_destroyed_for_all_at_once(lanes):
    store = lanes.store()
    for turn in range(5):
        ref = store.generate(KeySpec.P_256, f"k{turn}", Purpose.DOCUMENT)
        for lane in LANES:
            sign_in(lanes, lane, ref)
            assert labels_in(lanes, lane, Op.LIST) == [f"k{turn}"]
        store.destroy(ref.public_key_der)
        for lane in LANES:
            # Its handle is still kept there; the token does not take it any more.
            with pytest.raises(KeyDestroyed):
                sign_in(lanes, lane, ref)
            assert labels_in(lanes, lane, Op.LIST) == []
            assert f"k{turn}" in labels_in(lanes, lane, Op.LIST_DESTROYED)


def test_only_the_first_makes_names_and_destroys_keys(lanes):
    ref = document_key(lanes.store())
    body = {"key": octets(ref.public_key_der), "purpose": Purpose.TSA.value}
    for op in (Op.ASSIGN, Op.DESTROY):
        with pytest.raises(MessageRefused):
            ask(lanes, 1, request(op, body))
    with pytest.raises(KeyPurposeSet):
        ask(lanes, 0, request(Op.ASSIGN, body))
    sign_in(lanes, 1, ref)


def test_when_one_is_killed_the_others_serve_and_it_is_replaced_alone(lanes):
    store = lanes.store()
    ref = document_key(store)
    for number in LANES:
        before = lanes.state()
        kill(before.processes[number].pid)
        for turn in range(50):
            sign(store, ref, turn)
        assert until(lambda: all_serve(lanes))
        after = lanes.state()
        assert after.processes[number].pid != before.processes[number].pid
        assert after.processes[1 - number].pid == before.processes[1 - number].pid


@pytest.mark.parametrize("asked", [True, False])
def test_one_that_has_served_nobody_notices_too_that_the_token_was_away(lanes, asked):
    """SoftHSM that has seen its folder gone finds none of its keys ever after: whoever stays with it is blind."""
    ref = document_key(lanes.store())
    for number in LANES:
        before = lanes.state().processes[number].pid
        kill(before)
        assert until(lambda number=number, before=before: lanes.state().processes[number].pid != before)
        assert until(lambda: all_serve(lanes))
    away = lanes.tokens.rename(lanes.home / "away")
    for lane in LANES if asked else LANES[1:]:
        with pytest.raises(HSMError):
            sign_in(lanes, lane, ref)
    away.rename(lanes.tokens)
    for lane in LANES:
        assert until(lambda lane=lane: signs_in(lanes, lane, ref))


def signs_in(home: KeyProcessHome, lane: int, ref: KeyRef) -> bool:
    with suppress(HSMError, OSError, Broken, NotSent):
        sign_in(home, lane, ref)
        return True
    return False


def test_one_that_hangs_is_degraded_and_not_away(lanes):
    ref = document_key(lanes.store())
    os.kill(lanes.state().processes[0].pid, 19)  # SIGSTOP
    assert until(lambda: lanes.state().counts.get("process.silent"))
    assert until(lambda: all_serve(lanes))
    sign(lanes.store(), ref)


def test_a_token_that_one_finds_gone_is_given_up_by_those_that_nobody_asks(lanes):
    ref = document_key(lanes.store())
    for lane in LANES:
        sign_in(lanes, lane, ref)
    elsewhere = lanes.tokens.with_name("elsewhere")
    lanes.tokens.rename(elsewhere)
    with pytest.raises(TokenAway):
        sign_in(lanes, 0, ref)
    assert until(lambda: lanes.state().state == "away")
    assert "closed" not in {process.breaker for process in lanes.state().processes}
    elsewhere.rename(lanes.tokens)
    assert until(lambda: all_serve(lanes), 30.0)
    sign(lanes.store(), ref)


def test_a_pin_refused_to_one_is_asked_by_no_other_and_the_login_that_holds_goes_on(lanes):
    store = lanes.store()
    ref = document_key(store)
    right = lanes.pin_file.read_text()
    lanes.pin_file.write_text("0000-wrong\n")
    kill(lanes.state().processes[0].pid)
    assert until(lambda: lanes.state().processes[0].breaker == "pin")
    state = lanes.state()
    assert (state.state, state.breaker, state.reason) == ("degraded", "closed", "CKR_PIN_INCORRECT")
    assert (state.serves, state.is_pin_refused) == (True, True)
    for turn in range(20):
        sign(lanes.store(), ref, turn)
    started = state.counts["process.started"]
    kill(state.processes[1].pid)
    assert until(lambda: lanes.state().breaker == "pin")
    # No process was started, and so no PIN asked with, for the second.
    assert lanes.state().counts["process.started"] == started
    lanes.pin_file.write_text(right)
    assert until(lambda: all_serve(lanes))
    sign(store, ref)


def test_a_wrong_pin_at_the_start_is_asked_with_once(key_home):
    right = key_home.pin_file.read_text()
    key_home.pin_file.write_text("0000-wrong\n")
    key_home.start(processes=2)
    assert until(lambda: [process.breaker for process in key_home.state().processes] == ["pin", "pin"])
    assert key_home.state().counts["process.started"] == 1
    key_home.pin_file.write_text(right)
    assert until(lambda: all_serve(key_home))


def test_a_killed_keeper_takes_all_of_them_along(lanes):
    state = lanes.state()
    kill(state.keeper_pid)
    assert until(lambda: not any(is_alive(process.pid) for process in state.processes), 5.0)
    assert until(lambda: not is_locked(lanes.run / LOCK), 5.0)
    lanes.start()  # with one: the names of those that are not any more are taken away
    assert count_lanes(lanes.run) == 1
    assert lanes.store().list_keys() == []


def test_a_removed_socket_of_any_is_made_again(lanes):
    (lanes.run / socket_name(1)).unlink()
    assert until((lanes.run / socket_name(1)).exists)
    assert labels_in(lanes, 1, Op.LIST) == []


def test_a_key_process_of_a_command_is_one(key_home):
    key_home.settings = type(key_home.settings)(**{**vars(key_home.settings), "processes": 2})
    store = key_home.store(starts=True)
    document_key(store)
    assert len(key_home.state().processes) == 1
    assert json.loads(key_home.log().splitlines()[0])["event"] == "keeper.started"


def test_there_are_no_more_of_them_than_sessions(key_home):
    key_home.start(processes=8, max_sessions=2)
    assert until(lambda: all_serve(key_home))
    assert count_lanes(key_home.run) == 2
