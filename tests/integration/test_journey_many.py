"""Journey: a folder of documents is signed at once, stopped, killed, and gone on with; nothing is ever half there or signed twice."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.installation import User
from tests.signing_world import plain_paper


def papers(user: User, count: int, folder: str = "in") -> set[str]:
    """So many different papers; their names."""
    (user.folder / folder).mkdir(parents=True, exist_ok=True)
    names = {f"{number:04d}.pdf" for number in range(count)}
    for name in names:
        (user.folder / folder / name).write_bytes(plain_paper(f"{folder} {name}"))
    return names


def written(user: User, folder: str = "out") -> set[str]:
    return {path.name for path in (user.folder / folder).glob("*")}


def done_acts(user: User) -> int:
    return int(user.sql("SELECT count(*) FROM signing_acts WHERE state = 'done'")[0][0])


def start(user: User, *words: str) -> subprocess.Popen[str]:
    return user.start("sign", "in", "--as", "officer", "-o", "out", "--placement", "none", *words)


def test_a_folder_is_signed_with_the_folders_in_it(user: User) -> None:
    papers(user, 3)
    papers(user, 2, "in/sub/deeper")
    (user.folder / "in" / "note.txt").write_text("no PDF")
    (user.folder / "in" / ".hidden.pdf").write_text("no paper")
    (user.folder / "in" / "bad.PDF").write_text("no PDF either")
    done = user.run("sign", "in", "--as", "officer", "-o", "in/signed")
    assert done.returncode == 2
    assert done.stderr.startswith("antin: in/bad.PDF: ")
    assert len(done.stdout.splitlines()) == 5
    signed = {str(path.relative_to(user.folder / "in/signed")) for path in (user.folder / "in/signed").rglob("*.pdf")}
    assert signed == {"0000.pdf", "0001.pdf", "0002.pdf", "sub/deeper/0000.pdf", "sub/deeper/0001.pdf"}
    # The outputs stand below the inputs, and are none.
    again = user.json("sign", "in", "--as", "officer", "-o", "in/signed", "--resume", code=2)
    assert len(again) == 6
    assert done_acts(user) == 5
    assert user.json("verify", "in/signed/sub/deeper/0001.pdf")["conclusion"] == "valid"


def test_a_folder_that_cannot_be_meant_is_wrong_usage(user: User) -> None:
    papers(user, 1)
    (user.folder / "empty").mkdir()
    user.refused(2, "sign", "in", "--as", "officer")
    user.refused(2, "sign", "empty", "--as", "officer", "-o", "out")
    user.refused(2, "sign", "in", "in/0000.pdf", "--as", "officer", "-o", "out")
    user.refused(2, "sign", "in", "--as", "officer", "-o", "in", "--force")
    assert done_acts(user) == 0


def test_resume_signs_only_what_is_not_signed_yet(user: User) -> None:
    names = papers(user, 4)
    first = {each["file"]: each for each in user.json("sign", "in", "--as", "officer", "-o", "out")}
    (user.folder / "out" / "0001.pdf").unlink()
    (user.folder / "in" / "0002.pdf").write_bytes(plain_paper("another one"))
    (user.folder / "out" / "0002.pdf").unlink()
    second = {each["file"]: each for each in user.json("sign", "in", "--as", "officer", "-o", "out", "--resume")}
    # Lost outputs come from the register, under their codes; a changed input is another document.
    same = {file for file in first if first[file]["code"] == second[file]["code"]}
    assert same == {"in/0000.pdf", "in/0001.pdf", "in/0003.pdf"}
    assert done_acts(user) == 5
    assert written(user) == names
    said = user.run("sign", "in", "--as", "officer", "-o", "out", "--resume")
    assert (said.returncode, said.stderr) == (0, "")  # how it was stamped then, is not told
    # What stands there and is not of this input is nobody's to replace.
    (user.folder / "out" / "0003.pdf").write_text("mine")
    third = user.json("sign", "in", "--as", "officer", "-o", "out", "--resume", code=2)
    assert [each.get("error") for each in third] == [None, None, None, "OUTPUT_EXISTS"]
    assert (user.folder / "out" / "0003.pdf").read_text() == "mine"
    # Another person's wish, level or credential is another signature; one file has its own answer.
    one = user.json("sign", "in/0000.pdf", "--as", "officer", "-o", "one.pdf", "--resume")
    assert one["code"] == first["in/0000.pdf"]["code"]
    other = user.json("sign", "in/0000.pdf", "--as", "officer", "-o", "two.pdf", "--resume", "--level", "B-T")
    assert other["code"] != first["in/0000.pdf"]["code"]
    user.refused(2, "sign", "in", "--as", "officer", "-o", "out", "--resume", "--force")


@pytest.mark.slow
def test_ctrl_c_finishes_what_has_begun_and_says_what_is_left(user: User) -> None:
    names = papers(user, 400)
    with start(user) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        lines, said = [first, *process.stdout], process.stderr.read()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.startswith("antin: stopped: ")
    assert 0 < len(lines) < 400
    # What was said to be signed is there, and nothing else is.
    assert written(user) == {line.split(" ")[0].removeprefix("in/") for line in lines}
    assert done_acts(user) == len(lines)
    assert user.sql("SELECT count(*) FROM signing_acts WHERE state <> 'done'")[0][0] == 0
    results = user.json("sign", "in", "--as", "officer", "-o", "out", "--placement", "none", "--resume")
    assert len(results) == 400
    assert written(user) == names
    assert done_acts(user) == 400


@pytest.mark.slow
@pytest.mark.parametrize("lines", [0, 1, 60])
def test_a_killed_command_leaves_finished_files_finished_and_nothing_in_between(user: User, lines: int) -> None:
    names = papers(user, 250)
    process = start(user)
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.kill()
    process.communicate(timeout=60)
    before = {path: path.read_bytes() for path in (user.folder / "out").glob("*")}
    assert {path.name for path in before} <= names
    assert len(before) >= lines
    results = user.json("sign", "in", "--as", "officer", "-o", "out", "--placement", "none", "--resume")
    assert [each.get("error") for each in results] == [None] * 250
    assert written(user) == names
    assert {path: path.read_bytes() for path in before} == before
    # Nothing was signed a second time, also of what was signed and not written when the command died.
    assert done_acts(user) == 250
    assert len({each["code"] for each in results}) == 250
    judged = user.json("verify", *sorted(f"out/{name}" for name in list(names)[:20]))
    assert {each["conclusion"] for each in judged} == {"valid"}


def test_a_terminal_sees_how_far_it_is_and_nobody_else(user: User) -> None:
    papers(user, 30)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        user.command("sign", "in", "--as", "officer", "-o", "out", "--placement", "none"),
        cwd=user.folder, env=user.surroundings(TERM="xterm"), stdout=subprocess.PIPE, stderr=theirs, text=True,
    )  # fmt: skip
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    assert process.returncode == 0
    assert len(out.splitlines()) == 30
    assert "/30" in seen
    assert seen.endswith("\x1b[K")
    shutil.rmtree(user.folder / "out")
    assert user.run("sign", "in", "--as", "officer", "-o", "out").stderr == ""


def test_a_full_folder_of_outputs_costs_no_signature(user: User) -> None:
    papers(user, 2)
    (user.folder / "out").mkdir()
    (user.folder / "out" / "0001.pdf").write_text("mine")
    results = user.json("sign", "in", "--as", "officer", "-o", "out", code=2)
    assert [each.get("error") for each in results] == [None, "OUTPUT_EXISTS"]
    assert done_acts(user) == 1
    assert Path(user.folder / "out" / "0001.pdf").read_text() == "mine"
