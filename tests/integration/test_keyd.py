"""The key process as real processes: what kills it, what cheats it, and that it comes back by itself."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import shutil
import socket
import stat
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm.channel import limit_times, receive, send
from hsm.client import ClientStore, read_state
from hsm.errors import (
    HSMError,
    KeyProcessFailed,
    MessageRefused,
    PinMissing,
    PinWrong,
    SessionUnavailable,
    TokenAway,
)
from hsm.keyd.places import LOCK, PIN_REFUSED, SOCKET, STATE_SOCKET, is_locked, prepare_run_folder, run_folder
from hsm.keyd.process import KeydSettings, KeyProcess
from hsm.pin import PinDescriptor
from hsm.spec import KeyRef
from hsm.wire import Op, parse_answer, request, sign_request
from tests.key_process import KeyProcessHome, document_key, is_alive, kill, sign, until
from tests.signable import SHA256, attributes

ECDSA = ec.ECDSA(SHA256)


def connect(home: KeyProcessHome, seconds: float = 10.0) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    limit_times(connection, sending=seconds, receiving=seconds)
    connection.connect(str(home.run / SOCKET))
    return connection


class Load:
    """Threads that sign without end, every signature verified; what fails is noted by its code."""

    def __init__(self, store: ClientStore, ref: KeyRef, threads: int = 4) -> None:
        self.signed = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(store, ref, number)) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self, store: ClientStore, ref: KeyRef, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            try:
                sign(store, ref, f"{number}/{turn}")
            except HSMError as error:
                with self._lock:
                    self.failures.append(error.code)
                time.sleep(0.05)
            else:
                with self._lock:
                    self.signed += 1

    def signs_on(self, seconds: float = 20.0) -> bool:
        before = self.signed
        return bool(until(lambda: self.signed >= before + 20, seconds))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def loaded(key_home):
    """A key process that signs for four threads."""
    key_home.start()
    store = key_home.store()
    ref = document_key(store)
    load = Load(store, ref)
    assert load.signs_on()
    yield load
    load.stop()


# --- deaths ---------------------------------------------------------------------------------------------------------


def test_a_killed_token_process_is_replaced_and_no_signature_is_lost(key_home, loaded):
    first = key_home.state().pid
    kill(first)
    assert until(lambda: key_home.state().pid not in (None, first))
    assert loaded.signs_on()
    state = key_home.state()
    assert (state.state, state.breaker) == ("ok", "closed")
    assert state.counts["process.died"] == 1
    # Each request in flight was asked once more.
    assert loaded.failures == []


def test_a_token_process_that_says_nothing_is_replaced(key_home, loaded):
    first = key_home.state().pid
    os.kill(first, 19)  # SIGSTOP: it lives, and does nothing
    assert until(lambda: key_home.state().breaker == "closed" and key_home.state().pid != first)
    assert loaded.signs_on()
    assert key_home.state().counts["process.silent"] == 1


def test_deaths_in_a_row_open_the_breaker_and_it_closes_again(key_home):
    key_home.start()
    store = key_home.store()
    ref = document_key(store)
    for _ in range(4):
        pid = until(lambda: key_home.state().pid)
        kill(pid)
        assert until(lambda gone=pid: key_home.state().pid != gone)
    assert until(lambda: key_home.state().breaker == "closed")
    sign(store, ref)
    counts = key_home.state().counts
    assert counts["process.died"] == counts["breaker.opened"] == counts["breaker.half-open"] == 4


def test_a_killed_keeper_takes_its_token_process_along_and_clients_are_told(key_home):
    keeper = key_home.start()
    store = key_home.store()
    ref = document_key(store)
    token_process = key_home.state().pid
    kill(keeper.pid)
    assert until(lambda: not is_alive(token_process), 5.0)
    with pytest.raises(TokenAway) as away:
        sign(store, ref)
    assert away.value.facts == {"retry_after": "1", "reason": "not running"}
    assert store.status().state == "away"
    key_home.start()  # the socket that the dead one left behind is in nobody's way
    sign(store, ref)


def test_a_command_whose_keeper_is_killed_starts_its_own(key_home):
    store = key_home.store(starts=True)
    ref = document_key(store)
    first = key_home.state()
    kill(first.keeper_pid)
    sign(store, ref)  # the token process may still answer this one, before it hears that its keeper has gone
    assert until(lambda: not is_alive(first.pid))
    sign(store, ref)
    assert key_home.state().keeper_pid != first.keeper_pid


def test_a_key_is_not_made_twice_when_the_connection_breaks(key_home):
    key_home.start()
    store = key_home.store()
    store.list_keys()
    pid = key_home.state().pid
    os.kill(pid, 19)
    failures = []

    def make() -> None:
        try:
            document_key(store)
        except KeyProcessFailed as error:
            failures.append(error.facts["reason"])

    making = threading.Thread(target=make)
    making.start()
    time.sleep(0.3)
    kill(pid)
    making.join(20)
    assert failures == ["the connection broke"]
    assert store.list_keys() == []


def test_a_removed_socket_is_made_again_while_signing_goes_on(key_home, loaded):
    pid = key_home.state().pid
    for name in (SOCKET, STATE_SOCKET):
        (key_home.run / name).unlink()
    assert until(lambda: read_state(key_home.run))
    assert until((key_home.run / SOCKET).exists)
    fresh = key_home.store()
    assert len(fresh.list_keys()) == 1
    assert key_home.state().pid == pid
    assert key_home.state().counts["socket.restored"] == 2
    assert loaded.failures == []


def test_a_keeper_whose_lock_was_removed_goes(key_home):
    keeper = key_home.start()
    (key_home.run / LOCK).unlink()
    assert keeper.wait(10) == 1
    assert read_state(key_home.run) is None


def test_a_keeper_ends_with_whoever_holds_its_input(key_home):
    keeper = key_home.start()
    pid = key_home.state().pid
    keeper.stdin.close()
    assert keeper.wait(5) == 0
    assert not is_alive(pid)
    assert sorted(path.name for path in key_home.run.iterdir()) == [LOCK]


def test_ending_lets_what_is_being_signed_finish(key_home, loaded):
    key_home._keepers[0].terminate()
    assert key_home._keepers[0].wait(5) == 0
    assert set(loaded.failures) <= {"HSM_TOKEN_AWAY"}
    loaded.failures.clear()
    key_home.start()
    assert loaded.signs_on()


# --- many, slow and lying clients -----------------------------------------------------------------------------------


def test_64_clients_share_4_sessions_and_all_are_served(key_home):
    key_home.start(max_sessions=4)
    ref = document_key(key_home.store())
    stores = [key_home.store() for _ in range(64)]
    served = [0] * 64

    def work(number: int) -> None:
        for turn in range(10):
            sign(stores[number], ref, f"{number}/{turn}")
            served[number] += 1

    with ThreadPoolExecutor(64) as threads:
        list(threads.map(work, range(64)))
    assert served == [10] * 64
    assert until(lambda: key_home.state().connections >= 64, 3.0)
    assert key_home.state().sessions.open <= 5


def test_connections_have_a_limit_and_those_beyond_are_told(key_home):
    key_home.start(max_connections=3)
    stores = [key_home.store() for _ in range(4)]
    for store in stores[:3]:
        store.list_keys()
    with pytest.raises(SessionUnavailable) as refusal:
        stores[3].list_keys()
    assert refusal.value.facts == {"limit": "3"}
    stores[0].close()
    assert until(lambda: key_home.state().connections == 2)
    stores[3].list_keys()


def test_a_client_that_never_reads_is_dropped_and_harms_nobody(key_home, loaded):
    with connect(key_home, 30.0) as greedy:
        with contextlib.suppress(OSError):
            for _ in range(200_000):
                send(greedy, request(Op.LIST))
            pytest.fail("it could send without end")
        assert until(lambda: key_home.state().counts.get("client.dropped") == 1)
    assert loaded.signs_on()
    assert loaded.failures == []


def test_a_client_that_lies_is_refused_and_harms_nobody(key_home, loaded):
    key = document_key(key_home.store()).public_key_der
    honest = b"".join(sign_request(key, [attributes("honest"), b"second"], "ecdsa", "sha256"))
    dice = random.Random(4)
    refusals = 0
    for number in range(300):
        message = bytearray(honest)
        if number % 3 == 0:
            for _ in range(dice.randint(1, 4)):
                message[dice.randrange(len(message))] = dice.randrange(256)
        elif number % 3 == 1:
            message = message[: dice.randrange(1, len(message))]
        else:
            message = bytearray(b"\1" + bytes([dice.randrange(256)]) + dice.randbytes(dice.randrange(200)))
        with connect(key_home) as liar:
            send(liar, [bytes(message)])
            answer = receive(liar)
            assert answer, message
            try:
                parse_answer(answer)
            except MessageRefused:
                refusals += 1
                assert receive(liar) == b"", "a connection that was refused is closed"
            except HSMError:
                send(liar, request(Op.HELLO))
                parse_answer(receive(liar))
    assert refusals > 100
    assert loaded.signs_on()
    assert loaded.failures == []
    assert key_home.state().counts["message.refused"] == refusals


def test_a_body_that_may_change_is_refused_by_the_running_process(key_home):
    key_home.start()
    descriptor = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    os.write(descriptor, bytes(100))
    with connect(key_home) as liar:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", descriptor))
        liar.sendmsg([struct.pack("!BBQ", 1, 0xFF, 100)], [rights])
        with pytest.raises(MessageRefused):
            parse_answer(receive(liar))
    os.close(descriptor)


def test_somebody_who_hangs_on_the_state_socket_holds_nobody_up(key_home):
    key_home.start()
    silent = []
    for _ in range(50):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(str(key_home.run / STATE_SOCKET))
        silent.append(connection)
    assert until(lambda: key_home.state().state == "ok")
    for connection in silent:
        connection.close()


def test_folder_and_sockets_are_for_their_owner_only(key_home):
    key_home.start()
    assert stat.S_IMODE(key_home.run.stat().st_mode) == 0o700
    for path in key_home.run.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_gets_nothing_even_through_an_open_folder(key_home):
    key_home.start()
    for path in (key_home.home, key_home.run):
        path.chmod(0o755)
    for name in (SOCKET, STATE_SOCKET):
        (key_home.run / name).chmod(0o666)
    for name, op in ((SOCKET, Op.LIST), (STATE_SOCKET, Op.STATE)):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.seteuid(65534)
        try:
            connection.connect(str(key_home.run / name))
        finally:
            os.seteuid(0)
        with connection:
            limit_times(connection, receiving=10.0)
            with contextlib.suppress(OSError, MessageRefused):
                send(connection, request(op))
                if answer := receive(connection):
                    parse_answer(answer)
                    pytest.fail("a stranger was answered")


# --- the PIN --------------------------------------------------------------------------------------------------------


def test_a_wrong_pin_is_asked_once_by_all_commands_together_and_a_mended_file_serves_again(key_home):
    right = key_home.pin_file.read_text()
    key_home.pin_file.write_text("0000-wrong\n")
    for _ in range(3):
        store = key_home.store(starts=True)
        with pytest.raises(PinWrong):
            store.list_keys()
        store.close()
    told = [json.loads(line) for line in key_home.log().splitlines()]
    # A token process is started, and with it the token asked, by the first command only.
    assert [line["event"] for line in told].count("process.started") == 1
    assert [line["event"] for line in told].count("breaker.pin") == 3
    assert (key_home.run / PIN_REFUSED).exists()
    key_home.pin_file.write_text(right)
    assert key_home.store(starts=True).list_keys() == []
    assert not (key_home.run / PIN_REFUSED).exists()


def test_a_keeper_that_stays_says_degraded_and_serves_when_the_pin_file_is_mended(key_home):
    right = key_home.pin_file.read_text()
    key_home.pin_file.write_text("0000-wrong\n")
    key_home.start()
    store = key_home.store()
    with pytest.raises(PinWrong):
        store.list_keys()
    state = key_home.state()
    assert (state.state, state.breaker, state.reason, state.pid) == ("degraded", "pin", "CKR_PIN_INCORRECT", None)
    assert store.status().state == "degraded"
    key_home.pin_file.write_text(right)
    assert until(lambda: key_home.state().state == "ok")
    assert store.list_keys() == []
    assert key_home.state().counts["process.started"] == 2


def test_a_missing_pin_file_can_be_put_there(key_home):
    right = key_home.pin_file.read_text()
    key_home.pin_file.unlink()
    key_home.start()
    with pytest.raises(TokenAway) as away:
        key_home.store().list_keys()
    assert away.value.facts["reason"] == PinMissing.code
    assert key_home.state().state == "degraded"
    key_home.pin_file.write_text(right)
    assert until(lambda: key_home.state().state == "ok", 25.0)


def test_a_pin_may_come_from_a_descriptor_and_is_read_again_by_a_successor(key_home):
    descriptor = os.open(key_home.pin_file, os.O_RDONLY)
    key_home.start(pin=PinDescriptor(descriptor))
    os.close(descriptor)
    key_home.pin_file.unlink()
    store = key_home.store()
    assert store.list_keys() == []
    kill(key_home.state().pid)
    assert store.list_keys() == []


def test_a_pipe_is_no_place_for_a_pin(key_home):
    reading, writing = os.pipe()
    with pytest.raises(PinMissing):
        key_home.start(pin=PinDescriptor(reading))
    os.close(reading)
    os.close(writing)


def test_the_pin_stands_in_no_argument_environment_log_or_error(key_home):
    pin = key_home.pin_file.read_text().strip()
    wanted = [pin.encode(), base64.b64encode(pin.encode()), pin.encode().hex().encode()]
    store = key_home.store(starts=True)
    document_key(store)
    state = key_home.state()
    seen = [
        Path(f"/proc/{each.name}/{kind}")
        for each in Path("/proc").iterdir()
        if each.name.isdigit()
        for kind in ("cmdline", "environ")
    ]
    assert Path(f"/proc/{state.pid}/environ") in seen
    for path in seen:
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            assert not any(each in content for each in wanted), path
    store.close()
    key_home.pin_file.write_text(f"{pin}x\n")
    refused = key_home.store(starts=True)
    with pytest.raises(PinWrong) as error:
        refused.list_keys()
    assert pin not in f"{error.value!r} {error.value.facts}"
    refused.close()
    for path in key_home.run.iterdir():
        assert not any(each in path.read_bytes() for each in wanted), path


# --- away and back --------------------------------------------------------------------------------------------------


def test_a_token_that_is_moved_away_and_back_is_served_again(key_home, loaded):
    aside = key_home.home / "aside"
    shutil.move(key_home.tokens, aside)
    assert until(lambda: loaded.failures)
    assert until(lambda: key_home.state().state == "away")
    refused = time.monotonic()
    with pytest.raises(TokenAway) as away:
        key_home.store().list_keys()
    assert time.monotonic() - refused < 8
    assert int(away.value.facts["retry_after"]) >= 1
    shutil.move(aside, key_home.tokens)
    assert until(lambda: key_home.state().state == "ok", 25.0)
    assert loaded.signs_on()


def test_without_the_module_the_token_is_away_and_says_so(key_home, tmp_path):
    key_home.start(module=tmp_path / "absent.so")
    with pytest.raises(TokenAway) as away:
        key_home.store().list_keys()
    assert away.value.facts["reason"] == "HSM_MODULE_MISSING"
    assert until(lambda: key_home.state().counts.get("breaker.opened", 0) >= 3)
    assert key_home.state().state == "away"


# --- ephemeral ones, and two of them --------------------------------------------------------------------------------


def test_an_ephemeral_key_process_ends_with_its_last_client_and_leaves_no_process(key_home):
    store = key_home.store(starts=True)
    document_key(store)
    state = key_home.state()
    assert state.ephemeral
    store.close()
    assert not is_alive(state.keeper_pid)
    assert not is_alive(state.pid)
    assert not is_locked(key_home.run / LOCK)
    assert not (key_home.run / SOCKET).exists()


def test_an_ephemeral_key_process_whose_only_client_changed_its_mind_ends_too(key_home):
    keeper = key_home.start(ephemeral=True)
    connect(key_home).close()  # somebody who changed their mind
    assert keeper.wait(10) == 0


@pytest.mark.slow
@pytest.mark.walk
def test_an_ephemeral_key_process_to_which_nobody_comes_back_after_a_death_ends_too(key_home):
    store = key_home.store(starts=True)
    store.list_keys()
    state = key_home.state()
    kill(state.pid)
    assert until(lambda: key_home.state().pid not in (None, state.pid))
    assert until(lambda: not is_alive(state.keeper_pid), 30.0)


def test_twenty_commands_at_once_share_or_start_and_never_fail(key_home):
    first = key_home.store(starts=True)
    ref = document_key(first)
    first.close()

    def command(number: int) -> int:
        store = key_home.store(starts=True)
        for turn in range(3):
            sign(store, ref, f"{number}/{turn}")
        store.close()
        return number

    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(command, range(20))) == list(range(20))
    assert until(lambda: not is_locked(key_home.run / LOCK))


def test_a_second_keeper_that_would_stay_is_refused(key_home):
    key_home.start()
    first = key_home.state()
    with pytest.raises(KeyProcessFailed) as refusal:
        key_home.start()
    assert refusal.value.facts == {"reason": "another"}
    key_home.starter()  # an ephemeral one leaves it to the first
    assert key_home.state().keeper_pid == first.keeper_pid
    assert key_home.store().list_keys() == []


def test_an_ephemeral_keeper_steps_aside_for_one_that_stays(key_home):
    store = key_home.store(starts=True)
    ref = document_key(store)
    ephemeral = key_home.state()
    key_home.start()
    state = key_home.state()
    assert (state.ephemeral, state.keeper_pid != ephemeral.keeper_pid) == (False, True)
    sign(store, ref)
    assert not is_alive(ephemeral.pid)


def test_a_keeper_that_cannot_start_says_why(key_home, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyProcessFailed):
        KeyProcess(KeydSettings(Path("m"), "t", Path("p"), tmp_path / "file")).start(ephemeral=True)


# --- places ---------------------------------------------------------------------------------------------------------


def test_a_home_with_a_long_path_gets_a_short_folder_and_works(key_home, tmp_path):
    long = tmp_path / ("a" * 60) / ("b" * 60)
    long.mkdir(parents=True)
    folder = run_folder(long)
    assert len(str(folder / STATE_SOCKET)) <= 107
    assert folder == run_folder(long)
    assert folder != run_folder(tmp_path / ("a" * 60) / ("c" * 60))
    key_home.run = folder
    key_home.start(run_folder=folder)
    assert key_home.store().list_keys() == []
    key_home.close()
    shutil.rmtree(folder)
    key_home.home.mkdir()


def test_a_short_path_stays_in_the_home(tmp_path):
    assert run_folder(Path("/srv/antin")) == Path("/srv/antin/run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_somebody_else_left_in_an_open_place_is_refused(tmp_path):
    tmp_path.chmod(0o1777)
    folder = tmp_path / "antin-0123"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(KeyProcessFailed):
        prepare_run_folder(folder)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(KeyProcessFailed):
        prepare_run_folder(link)
