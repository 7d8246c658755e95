"""Journey: two processes of one installation found, issue, sign and number at once, and one is killed; on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509

from tests.installation import ANTIN, OFFICER_NAME, User

_EACH = 40
_ROOT = Path(__file__).parents[2]
_REGISTRAR = Path(__file__).with_name("registrar.py")
_LONG_AGO = "2026-01-01 00:00:00.000000"


def _start(user: User, *words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(word) for word in words], cwd=user.folder,
        env=user.surroundings(PYTHONPATH=str(_ROOT)), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _at_once(user: User, *commands: list[str | Path]) -> list[str]:
    """Run commands side by side; each must end well. What they printed."""
    running = [_start(user, *command) for command in commands]
    ended = [process.communicate(timeout=300) for process in running]
    assert [(process.returncode, err) for process, (_, err) in zip(running, ended, strict=True)] == [(0, "")] * len(
        running
    )
    return [out for out, _ in ended]


def _papers(user: User, folder: str, count: int, source: str = "paper.pdf") -> list[Path]:
    """So many different papers: what a PDF's end is followed by changes nothing but the file."""
    (user.folder / folder).mkdir()
    content = (user.folder / source).read_bytes()
    paths = [Path(folder) / f"{number:03d}.pdf" for number in range(count)]
    for number, path in enumerate(paths):
        (user.folder / path).write_bytes(content + b"%% %s %d\n" % (folder.encode(), number))
    return paths


def _sign_at_once(user: User, credential: str, *batches: tuple[list[Path], str]) -> None:
    _at_once(user, *([ANTIN, "sign", *files, "--as", credential, "-o", out] for files, out in batches))


def _numbers(user: User) -> list[tuple[int, str]]:
    return [
        (int(number), str(state)) for number, state in user.sql("SELECT number, state FROM numbers ORDER BY number")
    ]


@pytest.mark.slow
def test_two_processes_sign_and_number_without_doubles_or_holes(user: User) -> None:
    first, second = _papers(user, "a", _EACH), _papers(user, "b", _EACH)
    _sign_at_once(user, "officer", (first, "a-officer"), (second, "b-officer"))
    approved = [sorted((user.folder / f"{name}-officer").glob("*.pdf")) for name in "ab"]
    assert [len(each) for each in approved] == [_EACH, _EACH]
    _sign_at_once(user, "seal", (approved[0], "a-sealed"), (approved[1], "b-sealed"))

    assert _numbers(user) == [(number, "used") for number in range(1, 2 * _EACH + 1)]
    assert user.sql("SELECT count(*), count(DISTINCT code), count(DISTINCT number) FROM documents") == [
        (2 * _EACH,) * 3
    ]
    assert user.sql("SELECT state, count(*), count(DISTINCT output_sha256) FROM signing_acts GROUP BY state") == [
        ("done", 4 * _EACH, 4 * _EACH)
    ]
    # One row for each step of each signature: none was lost, none written twice.
    acts = dict(
        user.sql(
            "SELECT action, count(*) FROM audit WHERE action LIKE 'document.%' OR action LIKE 'number.%' GROUP BY action"
        )
    )
    assert acts == {"document.sign.intent": 4 * _EACH, "document.sign": 4 * _EACH, "number.reserve": 2 * _EACH}
    assert user.findings() == {}
    sealed = user.folder / "b-sealed" / "039.pdf"
    assert user.json("verify", sealed)["conclusion"] == "valid"


@pytest.mark.slow
@pytest.mark.walk
def test_a_process_that_is_killed_leaves_an_intent_that_the_doctor_names_and_others_go_on(user: User) -> None:
    user.antin("sign", *_papers(user, "a", 6), "--as", "officer", "-o", "approved")
    approved = sorted((user.folder / "approved").glob("*.pdf"))
    _kill_between_number_and_result(user, approved)
    # Whoever comes next takes the next number and finds nothing locked. What the victim had issued is not issued again.
    results = json.loads(user.run("sign", *approved, "--as", "seal", "-o", "sealed", "--json").stdout)
    assert len(results) == len(approved)
    assert {each["error"] for each in results if "error" in each} <= {"ALREADY_ISSUED"}
    assert any("code" in each for each in results)
    assert sum(each["issued"] for each in user.json("document", "list")) == len(approved)

    numbers = _numbers(user)
    assert [number for number, _ in numbers] == list(range(1, len(numbers) + 1))
    assert {state for _, state in numbers} == {"used", "reserved"}
    reserved = [number for number, state in numbers if state == "reserved"]
    # What is done is whole: its number, its blob, its audit row.
    states = dict(user.sql("SELECT state, count(*) FROM signing_acts WHERE intent = 'issue' GROUP BY state"))
    assert states["done"] == len(numbers) - len(reserved)
    assert user.sql("SELECT count(*) FROM signing_acts WHERE state = 'done' AND output_sha256 IS NULL") == [(0,)]
    ((signed,),) = user.sql("SELECT count(*) FROM audit WHERE action = 'document.sign'")
    ((done,),) = user.sql("SELECT count(*) FROM signing_acts WHERE state = 'done'")
    assert signed == done
    # A young intent may belong to a process that still runs; an old one is named.
    assert user.findings() == {}
    user.sql("UPDATE signing_acts SET claimed_time = ? WHERE state = 'intent'", _LONG_AGO)
    user.sql("UPDATE numbers SET reserved_at = ? WHERE state = 'reserved'", _LONG_AGO)
    wrong = [each["code"] for each in user.json("doctor", code=1) if each["severity"] == "wrong"]
    assert sorted(wrong) == ["DOCTOR_ACT_OPEN"] * states.get("intent", 0) + ["DOCTOR_NUMBER_OPEN"] * len(reserved)


def _kill_between_number_and_result(user: User, approved: list[Path]) -> None:
    """Kill a process that seals as soon as it has reserved a number, while another signs and is not disturbed."""
    for attempt in range(5):
        papers = _papers(user, f"other-{attempt}", 3)
        survivor = _start(user, ANTIN, "sign", *papers, "--as", "officer", "-o", f"survivor-{attempt}")
        victim = _start(user, ANTIN, "sign", *approved, "--as", "seal", "-o", f"victim-{attempt}")
        while victim.poll() is None and not _reserved(user):
            time.sleep(0.001)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        _, err = survivor.communicate(timeout=120)
        assert (survivor.returncode, err) == (0, "")
        assert len(list((user.folder / f"survivor-{attempt}").glob("*.pdf"))) == 3
        # The number may have been used in the moment between looking and killing.
        if _reserved(user):
            return
    pytest.fail("each time the kill came too late")


def _reserved(user: User) -> list[int]:
    return [number for number, state in _numbers(user) if state == "reserved"]


@pytest.mark.slow
@pytest.mark.walk
def test_two_processes_issue_revoke_and_sign_lists_without_doubles(user: User) -> None:
    out = _at_once(user, *([sys.executable, _REGISTRAR, str(_EACH)] for _ in range(2)))
    serials = [line for text in out for line in text.split()]
    assert len(serials) == len(set(serials)) == 2 * _EACH
    ((stored, finished),) = user.sql(
        "SELECT count(*), count(sha256) FROM certificates WHERE common_name LIKE 'Nguyễn Văn%'"
    )
    assert stored == finished == 2 * _EACH
    numbers = [number for (number,) in user.sql("SELECT number FROM crls WHERE authority = 'issuing' ORDER BY id")]
    # `init` signs the first.
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert len(numbers) == 1 + 2 * _EACH // 4
    user.antin("ca", "publish")
    crl = x509.load_der_x509_crl((user.home / "public" / "crl" / "issuing.crl").read_bytes())
    revoked = {entry.serial_number for entry in crl}
    assert revoked == {int(serial, 16) for serial in (out[0].split()[::4] + out[1].split()[::4])}
    assert user.findings() == {}


def test_two_credentials_made_at_once_have_keys_of_their_own(user: User) -> None:
    issue = [ANTIN, "cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME, "--credential"]
    _at_once(user, [*issue, "clerk"], [*issue, "chief"])
    keys = user.sql("SELECT public_key_der FROM credentials WHERE name IN ('clerk', 'chief')")
    assert len({bytes(key) for (key,) in keys}) == 2
    assert user.findings() == {}


def test_one_name_asked_for_twice_at_once_is_one_credential(user: User) -> None:
    issue = [ANTIN, "cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME, "--credential", "clerk"]
    running = [_start(user, *issue) for _ in range(2)]
    for process in running:
        process.communicate(timeout=60)
    assert sorted(process.returncode for process in running) == [0, 2]
    assert user.sql("SELECT count(*) FROM certificates WHERE subject LIKE 'CN=Trần Thị%'") == [(1,)]
    # The one that came second made no key that nobody uses.
    assert not [each for each in user.json("doctor") if each["code"] == "DOCTOR_KEY_UNUSED"]


def test_two_init_at_once_make_one_installation(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    user = User(tmp_path / "home", tmp_path / "work")
    _at_once(user, *([ANTIN, "init", "--demo"] for _ in range(2)))
    assert [each["name"] for each in user.json("ca", "list")] == ["root", "issuing"]
    assert user.sql("SELECT count(*), count(DISTINCT public_key_der) FROM certificates") == [(7, 7)]
    assert not [each for each in user.json("doctor") if each["code"] == "DOCTOR_KEY_UNUSED"]
    assert user.findings() == {}
