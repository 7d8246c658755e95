"""Journey: what a custodian sees of the token and its keys, and that commands start, share and end a key process of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from hsm.spec import KeySpec
from tests.installation import User
from tests.integration.http_service import command_of
from tests.integration.test_http_processes import eventually

# What a key of an older release looks like: its label says nothing of a purpose.
_FORGET_PURPOSES = """
from pathlib import Path
from pkcs11 import Attribute
from hsm.module import load_module
from hsm.softhsm import find_module
with load_module(find_module()).find_token("antin").open(rw=True, user_pin=Path("secrets/pin").read_text()) as session:
    for each in list(session.get_objects()):
        each[Attribute.LABEL] = each[Attribute.LABEL].partition(":")[2]
"""


def forget_purposes(user: User) -> None:
    in_token_folder(user, _FORGET_PURPOSES)


def in_token_folder(user: User, script: str) -> None:
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=user.home,
        env={"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(user.home / "softhsm2.conf")},
        check=True,
    )


def key_processes(home: Path) -> list[int]:
    """Keepers and token processes of a home."""
    folder = f"--run-folder={home / 'run'}".encode()
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and folder in command_of(int(entry.name)).split(b"\0")
    ]


def test_the_status_tells_open_sessions_the_setting_and_the_tokens_own_limit_apart(user: User) -> None:
    (told,) = user.json("hsm", "status", ANTIN_HSM__MAX_SESSIONS="5")
    assert (told["sessions"]["limit"], told["sessions_allowed"]) == (None, 5)
    heading, row = user.antin("hsm", "status", ANTIN_HSM__MAX_SESSIONS="5").splitlines()[:2]
    columns = [re.split(r"  +", line.strip()) for line in (heading, row)]
    shown = dict(zip(*columns, strict=True))
    assert shown["sessions open"] == str(told["sessions"]["open"])
    assert shown["allowed (hsm.max_sessions + login)"] == "5 + 1"
    assert shown["token's own limit"] == "none"


def test_keys_are_listed_with_what_they_are_for_and_who_uses_them(user: User) -> None:
    keys = user.json("hsm", "keys")
    assert {(each["label"], each["purpose"], each["used_by"]["kind"], each["used_by"]["name"]) for each in keys} == {
        ("ca-root", "authority", "authority", "root"),
        ("ca-issuing", "authority", "authority", "issuing"),
        ("service-ocsp", "ocsp-responder", "service", "ocsp"),
        ("service-tsa", "tsa", "service", "tsa"),
        ("service-receipt", "receipt", "service", "receipt"),
        ("credential-officer", "document", "credential", "officer"),
        ("credential-seal", "document", "credential", "seal"),
    }
    assert {each["state"] for each in keys} == {"ok"}
    assert {each["label"]: each["spec"] for each in keys}["ca-root"] == "p-384"
    assert all(len(bytes.fromhex(each["key_id"])) == 20 for each in keys)
    assert "credential officer" in user.antin("hsm", "keys")
    assert user.json("hsm", "keys", ANTIN_LANG="vi") == keys


def test_status_says_how_the_token_is_and_leaves_no_process_behind(user: User) -> None:
    (status,) = user.json("hsm", "status")
    assert (status["token"], status["state"], status["breaker"], status["reason"]) == ("antin", "ok", "closed", "")
    assert status["retry_after"] == 0
    assert status["counts"]["breaker.closed"] == 1
    assert status["sessions"]["open"] >= 1
    assert isinstance(status["pid"], int)
    assert "antin" in user.antin("hsm", "status")
    assert eventually(lambda: key_processes(user.home) == [])


def test_status_of_a_token_that_is_away_or_refuses_its_pin_says_why(user: User) -> None:
    for name, value, state, reason in (
        ("MODULE", "/no/such/module.so", "away", "HSM_MODULE_MISSING"),
        ("TOKEN_LABEL", "another", "away", "HSM_TOKEN_MISSING"),
        ("PIN_FILE", "/no/such/pin", "degraded", "HSM_PIN_MISSING"),
    ):
        setting = {f"ANTIN_HSM__{name}": value}
        (status,) = user.json("hsm", "status", code=5, **setting)
        assert (status["state"], status["reason"]) == (state, reason)
        # Whoever wants to sign hears the cause and what to do about it.
        assert value in user.refused(5, "sign", "paper.pdf", "--as", "officer", **setting)
        assert user.findings(**setting) == {"DOCTOR_TOKEN_AWAY": "keys"}
    (user.folder / "wrong").write_text("0000")
    for _ in range(2):
        (status,) = user.json("hsm", "status", code=5, ANTIN_HSM__PIN_FILE=str(user.folder / "wrong"))
        assert (status["state"], status["breaker"]) == ("degraded", "pin")
    said = user.refused(5, "sign", "paper.pdf", "--as", "officer", ANTIN_HSM__PIN_FILE="wrong")
    assert str(user.folder / "wrong") in said
    assert "hsm.pin_file" in said
    assert user.findings(ANTIN_HSM__PIN_FILE="wrong") == {"DOCTOR_PIN_REFUSED": "keys"}
    assert "0000" not in (user.home / "run" / "keyd.log").read_text("utf-8").replace(".0000", "")
    user.sign("paper.pdf", "officer", "signed.pdf")


def test_a_pin_can_come_from_an_open_file_that_no_path_leads_to(user: User) -> None:
    pin = (user.home / "secrets" / "pin").read_bytes()
    (user.home / "secrets" / "pin").unlink()
    given = user.folder / "pin"
    given.write_bytes(pin)
    with given.open("rb") as file:
        given.unlink()
        setting = {"ANTIN_HSM__PIN_FILE": f"fd:{file.fileno()}"}
        done = subprocess.run(
            [*user.command("sign", "paper.pdf", "--as", "officer", "-o", "a.pdf")],
            cwd=user.folder, env=user.surroundings(**setting), pass_fds=[file.fileno()],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert user.refused(5, "sign", "paper.pdf", "--as", "officer", ANTIN_HSM__PIN_FILE="fd:999").count("fd:999") == 1


def test_bench_measures_every_kind_beside_openssl_and_leaves_no_key(user: User) -> None:
    before = user.json("hsm", "keys")
    speeds = user.json("hsm", "bench", "--seconds", "0.1", ANTIN_HSM__MAX_SESSIONS="3")
    assert [(each["algorithm"], each["sessions"]) for each in speeds] == [
        (spec.value, sessions) for spec in KeySpec for sessions in (1, 2, 3)
    ]
    for each in speeds:
        assert each["per_second"] > 0
        assert abs(each["ratio"] - each["per_second"] / each["openssl_per_second"]) < 0.01
    assert user.json("hsm", "keys") == before
    for seconds in ("0", "61", "nan", "x"):
        user.refused(2, "hsm", "bench", "--seconds", seconds)


def test_a_command_that_signs_leaves_no_process_behind(user: User) -> None:
    user.sign("paper.pdf", "officer", "signed.pdf")
    # The home may be copied or removed the moment a command has ended.
    assert key_processes(user.home) == []


def test_commands_at_once_share_or_queue_and_none_fails(user: User) -> None:
    started = [
        user.start("sign", "paper.pdf", "--as", "officer", "-o", f"{number}.pdf", "--json") for number in range(4)
    ] + [user.start("ca", "publish", "--all", "--json") for _ in range(2)]
    ended = [process.communicate(timeout=120) for process in started]
    assert [(process.returncode, err) for process, (_, err) in zip(started, ended, strict=True)] == [(0, "")] * 6
    assert len({json.loads(out)["code"] for out, _ in ended[:4]}) == 4
    assert eventually(lambda: key_processes(user.home) == [])
    assert user.findings() == {}


def test_keys_of_an_older_release_sign_nothing_until_the_doctor_gives_them_their_purpose(user: User) -> None:
    forget_purposes(user)
    assert {each["state"] for each in user.json("hsm", "keys")} == {"no-purpose"}
    assert "doctor --mend" in user.refused(5, "sign", "paper.pdf", "--as", "officer")
    found = user.json("doctor", code=1)
    assert [each["facts"]["name"] for each in found if each["code"] == "DOCTOR_KEY_NO_PURPOSE"] == [
        "root", "issuing", "ocsp", "tsa", "receipt", "officer", "seal",
    ]  # fmt: skip
    done = user.run("doctor", "--mend", "--json")
    assert done.returncode == 0
    assert done.stderr.count("purpose") == 7
    assert {each["state"] for each in user.json("hsm", "keys")} == {"ok"}
    user.sign("paper.pdf", "officer", "signed.pdf", "--level", "B-T")
    noted = user.sql("SELECT action, count(*) FROM audit WHERE action LIKE 'key.purpose%' GROUP BY action ORDER BY 1")
    assert noted == [("key.purpose", 7), ("key.purpose.intent", 7)]
    assert user.antin("doctor", "--mend") == user.antin("doctor")


def test_a_destroyed_key_stays_in_the_list_as_what_it_was(user: User) -> None:
    in_token_folder(
        user,
        "from pathlib import Path\nfrom hsm.pkcs11_store import Pkcs11Store\nfrom hsm.softhsm import find_module\n"
        "store = Pkcs11Store(find_module(), 'antin', Path('secrets/pin'))\n"
        "store.destroy(next(key.public_key_der for key in store.list_keys() if key.label == 'credential-seal'))\n"
        "store.close()\n",
    )
    (gone,) = [each for each in user.json("hsm", "keys") if each["state"] == "destroyed"]
    assert (gone["label"], gone["purpose"], gone["used_by"]["name"]) == ("credential-seal", "document", "seal")
    user.sign("paper.pdf", "officer", "approved.pdf")
    assert "destroyed" in user.refused(5, "sign", "approved.pdf", "--as", "seal")


def test_a_home_whose_path_is_too_long_for_a_socket_signs_all_the_same(user: User) -> None:
    deep = user.home.with_name("d" * 60) / ("e" * 60) / "home"
    deep.parent.mkdir(parents=True)
    user.home.rename(deep)
    user.home = deep
    user.sign("paper.pdf", "officer", "signed.pdf")
    assert user.json("hsm", "status")[0]["state"] == "ok"


def test_an_init_on_a_home_whose_token_is_away_makes_no_other_token(user: User) -> None:
    (user.home / "tokens").rename(user.home / "unplugged")
    user.antin("init")
    assert not (user.home / "tokens").exists()
    (user.home / "unplugged").rename(user.home / "tokens")
    assert user.findings() == {}
