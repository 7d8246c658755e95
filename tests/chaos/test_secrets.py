"""PIN and private octets are nowhere to be found: not in a log, an error, an environment, an argument, a file of the run.

The faults are those in which software is tempted to tell too much: refused PINs, failed logins, failed signatures, a crash.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hsm.errors import HSMError
from tests.chaos.load import running_load
from tests.chaos.stage import Stage, new_stage

WRONG_PIN = "wrong-pin-8c41f07d"


@dataclass
class Found:
    """Everything that somebody might read, by where it was read."""

    texts: dict[str, bytes] = field(default_factory=dict)

    def add_process(self, pid: int) -> None:
        """/proc of a process. What its own user may not read is safe from the user's other programs too."""
        for name in ("environ", "cmdline"):
            try:
                self.texts[f"/proc/{pid}/{name}"] = Path(f"/proc/{pid}/{name}").read_bytes()
            except PermissionError:
                self.texts[f"/proc/{pid}/{name}"] = b""


def written_as(secret: bytes) -> Iterator[bytes]:
    """The forms in which octets leak."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield base64.urlsafe_b64encode(secret).rstrip(b"=")
    # Within a longer text base64 has two more forms; the octets at the ends mix with their neighbours.
    for before in (1, 2):
        yield base64.b64encode(b"\0" * before + secret)[4:].rstrip(b"=")[:-4]
    yield repr(secret)[2:-1].encode()


def number_as(secret: bytes) -> Iterator[bytes]:
    """A private key is a number as well."""
    yield str(int.from_bytes(secret, "big")).encode()
    yield secret[::-1]


def everything_of_a_run(stage: Stage, key: bytes) -> Found:
    """Drive the key process through every trouble in which a secret is near, and gather what could be read."""
    found = Found()
    right = stage.pin_file.read_text("utf-8")
    store = stage.store()

    def look(name: str) -> None:
        state = stage.state()
        found.texts[f"state {name}"] = repr(state).encode()
        for pid in (os.getpid(), state.keeper_pid, state.pid):
            if pid is not None:
                found.add_process(pid)

    with running_load(store, key, 4) as load:
        for name, rule in (
            ("login forgotten", "C_SignInit nth 1 forget-login"),
            ("not signed", "C_SignInit nth 1 return CKR_ATTRIBUTE_VALUE_INVALID"),
            ("wrong signature", "C_Sign nth 1 corrupt"),
            ("device error", "C_Sign nth 1 return CKR_DEVICE_ERROR"),
            ("login failed", "C_Login nth 1 return CKR_FUNCTION_FAILED"),
            ("crash", "C_Sign nth 1 crash"),
        ):
            stage.faults.set(rule)
            if name == "login failed":
                stage.kill_token_processes()
            time.sleep(0.3)
            stage.wait_until_well()
            look(name)
        stage.write_pin(WRONG_PIN + "\n")
        stage.faults.set("C_SignInit nth 1 forget-login")
        stage.wait_until(lambda state: state.breaker == "pin")
        time.sleep(0.1)
        look("wrong PIN")
        stage.write_pin(right)
        stage.wait_until_well()
    store.close()
    assert {"HSM_PIN_WRONG", "HSM_TOKEN_AWAY", "HSM_SIGNING_FAILED"} <= set(load.record.lost)
    found.texts["errors"] = "\n".join({request.told for request in load.record.requests}).encode()
    found.texts["log"] = stage.log.read_bytes()
    for path in stage.run_folder.rglob("*"):
        if path.is_file():
            found.texts[str(path)] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Found, bytes, bytes]]:
    """What was found, the right PIN, and the private octets of the key that signed."""
    # One token process: what it says of a failure reaches its clients, where others would step in.
    with new_stage(tmp_path_factory.mktemp("secrets"), processes=1) as stage:
        stage.stop()
        key, private = stage.known_key()
        # The token vouches for a key that was not made in it: else keyd would not sign with it.
        stage.faults.keep("C_GetAttributeValue always vouch")
        stage.start()
        stage.wait_until_well()
        yield everything_of_a_run(stage, key), stage.pin_file.read_bytes().strip(), private


def test_there_was_something_to_look_at(run):
    found, _, _ = run
    assert b"breaker.pin" in found.texts["log"]
    assert b"signature.mismatch" in found.texts["log"]
    assert b"CKR_" in found.texts["errors"]
    assert any(text for name, text in found.texts.items() if name.endswith("/cmdline"))
    if os.geteuid() == 0:
        assert all(text for name, text in found.texts.items() if name.startswith("/proc/"))


def test_the_pin_is_nowhere(run):
    found, pin, _ = run
    for secret in (pin, WRONG_PIN.encode()):
        for form in written_as(secret):
            assert [name for name, text in found.texts.items() if form in text] == []


def test_private_octets_are_nowhere(run):
    found, _, private = run
    for form in (*written_as(private), *number_as(private)):
        assert [name for name, text in found.texts.items() if form in text] == []


def test_the_look_finds_what_is_there(run):
    """A test of the test: each form is found in a text that holds it."""
    _, pin, private = run
    for secret in (pin, private):
        texts = [b"x" + secret, secret.hex().encode(), base64.b64encode(b"12" + secret + b"tail")]
        assert all(any(form in text for form in written_as(secret)) for text in texts)


def test_an_imported_key_is_refused_when_the_token_does_not_vouch_for_it(tmp_path):
    with new_stage(tmp_path, processes=1) as stage:
        stage.stop()
        key, private = stage.known_key()
        stage.start()
        stage.wait_until_well()
        store = stage.store()
        with pytest.raises(HSMError) as refusal:
            store.get(key)
        assert refusal.value.code == "HSM_KEY_NOT_PROTECTED"
        assert not any(form in repr(refusal.value).encode() for form in written_as(private))
        store.close()
