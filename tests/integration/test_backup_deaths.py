"""Backups made and restored by processes that die: a file or a home is there whole, or not at all, and the next call succeeds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.installation import User

RESTORER = Path(__file__).with_name("restorer.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def lost(user: User) -> User:
    """A home with a signed document was backed up and is gone."""
    user.sign("paper.pdf", "officer", "signed.pdf", "--level", "B-T")
    recipient = user.antin("backup", "keygen", "-o", "recovery.key").strip()
    user.antin("backup", "create", "--recipient", recipient, "-o", "home.backup")
    shutil.rmtree(user.home)
    return User(user.home, user.folder)


def restorer(user: User, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, RESTORER, *words], cwd=user.folder, env=user.surroundings(PYTHONPATH=str(ROOT)),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def beside(user: User) -> list[str]:
    return sorted(each.name for each in user.home.parent.iterdir())


def is_back(user: User) -> None:
    assert user.findings() == {}
    assert user.json("verify", "signed.pdf")["conclusion"] == "valid"
    user.antin("audit", "verify")
    assert beside(user) == ["home", "work"]


def restore(user: User) -> None:
    user.antin("backup", "restore", "home.backup", "--identity", "recovery.key")


def test_a_restore_that_is_killed_while_it_unpacks_leaves_no_home(lost: User) -> None:
    octets = (lost.folder / "home.backup").read_bytes()
    os.mkfifo(lost.folder / "pipe")
    for share in (0.1, 0.6, 0.95):
        process = lost.start("backup", "restore", "pipe", "--identity", "recovery.key")
        with (lost.folder / "pipe").open("wb", buffering=0) as pipe:
            pipe.write(octets[: int(len(octets) * share)])
            process.kill()
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not lost.home.exists()
    restore(lost)
    is_back(lost)


def test_a_restore_that_is_killed_at_a_step_leaves_no_home_or_a_whole_one(lost: User) -> None:
    # Before the exports are taken in, and before the audit row: nothing has happened.
    for call in ("1", "2"):
        assert restorer(lost, "restore", call, "die", "home.backup", "recovery.key").returncode == -signal.SIGKILL
        assert not lost.home.exists()
    # With the home in its place, before or while new lists are made: one command makes what is missing.
    assert restorer(lost, "restore", "4", "die", "home.backup", "recovery.key").returncode == -signal.SIGKILL
    assert lost.home.exists()
    lost.antin("ca", "publish", "--all")
    is_back(lost)


def test_what_was_committed_and_not_renamed_is_finished_by_the_next_call(lost: User) -> None:
    hindered = restorer(lost, "restore", "2", "squat", "home.backup", "recovery.key")
    assert hindered.stdout == "RESTORE_NOT_RENAMED\n"
    assert (lost.home / "squatter").exists()
    said = lost.refused(2, "backup", "restore", "home.backup", "--identity", "recovery.key")
    assert "there is something in" in said
    shutil.rmtree(lost.home)
    # The rows were committed, so nothing is unpacked a second time: the file is not even there.
    (lost.folder / "home.backup").unlink()
    assert "interrupted is finished" in lost.antin("backup", "restore", "home.backup", "--identity", "recovery.key")
    is_back(lost)
    acts = lost.sql("SELECT count(*) FROM audit WHERE action = 'backup.restore'")
    assert acts == [(1,)]


def test_two_restores_into_one_home_do_not_mix(lost: User) -> None:
    os.mkfifo(lost.folder / "pipe")
    first = lost.start("backup", "restore", "pipe", "--identity", "recovery.key")
    octets = (lost.folder / "home.backup").read_bytes()
    with (lost.folder / "pipe").open("wb", buffering=0) as pipe:
        pipe.write(octets[: len(octets) // 2])
        said = lost.refused(5, "backup", "restore", "home.backup", "--identity", "recovery.key")
        assert "another restore" in said
        pipe.write(octets[len(octets) // 2 :])
    assert first.communicate()[1] == ""
    assert first.returncode == 0
    is_back(lost)


def test_a_backup_that_is_killed_leaves_no_file(user: User) -> None:
    user.antin("backup", "keygen", "-o", "recovery.key")
    before = user.files()
    for call in ("1", "2"):
        assert restorer(user, "create", call, "die", "home.backup", "recovery.key").returncode == -signal.SIGKILL
        assert user.files() == before
    assert restorer(user, "create", "0", "die", "home.backup", "recovery.key").returncode == 0
    assert user.files() == before | {"home.backup"}
    assert user.findings() == {}


def test_a_full_disk_is_said_and_leaves_nothing(lost: User, tmp_path: Path) -> None:
    # As for a disk that is full: no file may grow beyond a few kibibytes.
    limited = (
        f"ulimit -f 64; exec {' '.join(lost.command('backup', 'restore', 'home.backup', '--identity', 'recovery.key'))}"
    )
    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {limited}"], cwd=lost.folder, env=lost.surroundings(), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert done.stderr.count("\n") == 1
    assert "full" in done.stderr
    assert beside(lost) == ["work"]


def test_documents_that_are_signed_during_a_backup_are_in_it_whole_or_not_at_all(user: User) -> None:
    recipient = user.antin("backup", "keygen", "-o", "recovery.key").strip()
    user.sign("paper.pdf", "officer", "signed.pdf", "--level", "B-T")
    stop = threading.Event()
    signed: list[str] = []

    def sign() -> None:
        while not stop.is_set():
            name = f"during-{len(signed)}.pdf"
            user.antin("sign", "paper.pdf", "--as", "officer", "--placement", "none", "-o", name)
            signed.append(name)

    signer = threading.Thread(target=sign)
    signer.start()
    try:
        backups = 0
        while backups < 3 or (len(signed) < 3 and signer.is_alive()):
            user.antin("backup", "create", "--recipient", recipient, "-o", "home.backup", "--force")
            backups += 1
    finally:
        stop.set()
        signer.join()
    assert len(signed) > 2
    shutil.rmtree(user.home)
    restored = User(user.home, user.folder)
    restore(restored)
    # Every document of the restored register has its file, and no act is half there for good: what was being signed is named.
    found = restored.findings()
    assert set(found) <= {"DOCTOR_ACT_OPEN"}
    restored.antin("audit", "verify")
    known = {each["code"] for each in restored.json("document", "list")}
    for code in known:
        assert restored.run("document", "show", code, "-o", f"{code}.pdf").returncode in {0, 2}
    assert restored.json("verify", "signed.pdf")["conclusion"] == "valid"
