"""Journey: an auditor verifies the trail, exports it, keeps the file, and finds with it what somebody has removed since."""

from __future__ import annotations

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command

from api.migrations.runner import build_config
from certs.db import Database
from tests import postgres
from tests.installation import ANTIN, User
from tests.integration.http_service import problem, running

DOC = Path(__file__).parents[2] / "docs" / "audit.md"
ROW_17 = "chain = 0 AND position = 17"


def length_of(user: User) -> int:
    """Of chain 0."""
    ((length,),) = user.sql("SELECT length FROM audit_chains WHERE chain = 0")
    return int(length)


def cut_off(user: User, length: int) -> None:
    """As somebody would who knows how the end of a chain is noted."""
    ((link,),) = user.sql("SELECT link FROM audit WHERE chain = 0 AND position = ?", length)
    user.sql("DELETE FROM audit WHERE chain = 0 AND position > ?", length)
    user.sql("UPDATE audit_chains SET length = ?, head = ? WHERE chain = 0", length, link)


def refuse_rows(user: User) -> None:
    """From now on the trail takes no row."""
    if postgres.wanted():
        user.sql(
            "CREATE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no room''; END'"
        )
        user.sql("CREATE TRIGGER no_audit BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION no_audit()")
    else:
        user.sql("CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END")


def test_a_new_home_has_a_whole_trail_and_every_act_makes_it_longer(user: User) -> None:
    before = user.json("audit", "verify")
    assert (before["whole"], before["broken"], before["breaks"], before["checkpoint"]) == (True, 0, [], None)
    assert before["rows"] == sum(each["rows"] for each in before["chains"]) == length_of(user)
    user.sign("paper.pdf", "officer", "out.pdf")
    after = user.json("audit", "verify")
    assert (after["whole"], after["rows"]) == (True, before["rows"] + 2)
    assert str(after["rows"]) in user.antin("audit", "verify")
    assert user.findings() == {}


def test_a_changed_row_is_named_and_the_doctor_sees_it(user: User) -> None:
    user.sql(f"UPDATE audit SET actor = 'somebody' WHERE {ROW_17}")
    found = user.json("audit", "verify", code=1)
    (place,) = found["breaks"]
    assert (found["whole"], found["broken"]) == (False, 1)
    assert (place["kind"], place["chain"], place["position"], place["actor"]) == ("changed", 0, 17, "somebody")
    done = user.run("audit", "verify")
    assert done.returncode == 1
    assert done.stderr == ""
    first, last = done.stdout.splitlines()
    assert "position 17" in first
    assert "somebody" in first
    assert "places: 1" in last
    assert user.findings() == {"DOCTOR_AUDIT_BROKEN": "audit"}


@pytest.mark.parametrize("language", ["vi", "ko"])
def test_a_broken_place_is_said_in_the_readers_language(user: User, language: str) -> None:
    user.sql(f"DELETE FROM audit WHERE {ROW_17}")
    english, other = user.run("audit", "verify"), user.run("audit", "verify", ANTIN_LANG=language)
    assert (english.returncode, other.returncode) == (1, 1)
    assert "17" in other.stdout
    assert english.stdout != other.stdout
    assert (
        user.run("audit", "verify", "--json").stdout
        == user.run("audit", "verify", "--json", ANTIN_LANG=language).stdout
    )


def test_an_exported_file_is_checked_elsewhere_with_nothing_but_the_root(user: User, tmp_path: Path) -> None:
    user.sign("paper.pdf", "officer", "out.pdf")
    assert "audit.jsonl" in user.antin("audit", "export", "-o", "audit.jsonl")
    (user.folder / "root.pem").write_text(user.antin("ca", "show", "root", "--pem"))
    auditor = User(tmp_path / "no home", user.folder)
    said = auditor.json("audit", "verify", "--export", "audit.jsonl", "--trust", "root.pem")
    rows = [json.loads(line) for line in (user.folder / "audit.jsonl").read_text("utf-8").splitlines()]
    assert said["rows"] == len(rows) - 1 == length_of(user)
    assert rows[-2]["action"] == "document.sign"
    assert said["checkpoint"]["signer"] == "Antin Time-Stamping Authority"
    assert not auditor.home.exists()
    assert "no home here" in auditor.refused(2, "audit", "verify", "--export", "audit.jsonl")
    changed = (user.folder / "audit.jsonl").read_text("utf-8").replace("document.sign.intent", "document.sign.Intent")
    (user.folder / "changed.jsonl").write_text(changed)
    found = auditor.json("audit", "verify", "--export", "changed.jsonl", "--trust", "root.pem", code=1)
    assert [(each["kind"], each["action"]) for each in found["breaks"]] == [("changed", "document.sign.Intent")]


def test_what_the_manual_says_about_openssl_works_as_it_stands(user: User) -> None:
    user.antin("audit", "export", "-o", "2026-11.jsonl")
    for name in ("root", "issuing"):
        (user.folder / f"{name}.pem").write_text(user.antin("ca", "show", name, "--pem"))
    (block,) = [
        each for each in re.findall(r"```console\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL) if "openssl" in each
    ]
    script = "".join(line[2:] + "\n" for line in block.splitlines() if line.startswith("$ "))
    surroundings = user.surroundings(PATH=f"{ANTIN.parent}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=user.folder, env=surroundings, capture_output=True, text=True, check=False)  # fmt: skip
    assert "Verification: OK" in done.stdout, done.stderr
    checkpoint = json.loads((user.folder / "checkpoint.json").read_text("utf-8"))
    assert done.stdout.split()[-2] == checkpoint["rows_sha256"]


def test_a_home_without_its_database_still_checks_a_file(user: User) -> None:
    user.antin("audit", "export", "-o", "audit.jsonl")
    away = {"ANTIN_DATABASE__URL": "sqlite:////nowhere/antin.db"}
    assert user.json("audit", "verify", "--export", "audit.jsonl", **away)["whole"]
    user.refused(5, "audit", "verify", **away)


def test_an_export_goes_to_standard_output_too(user: User) -> None:
    (user.folder / "piped.jsonl").write_text(user.antin("audit", "export"))
    assert user.json("audit", "verify", "--export", "piped.jsonl")["whole"]


def test_an_export_of_before_finds_a_tail_that_was_cut_off_without_a_trace(user: User) -> None:
    user.sign("paper.pdf", "officer", "out.pdf")
    user.antin("audit", "export", "-o", "before.jsonl")
    user.antin("cert", "revoke", "officer", "--reason", "keyCompromise")
    assert user.json("audit", "verify", "--checkpoint", "before.jsonl")["whole"]
    length = length_of(user)
    cut_off(user, length - 6)
    assert user.json("audit", "verify")["whole"]
    assert user.findings() == {}
    found = user.json("audit", "verify", "--checkpoint", "before.jsonl", code=1)
    assert [each["kind"] for each in found["breaks"]] == ["forgotten"]
    # The checkpoint is the last line, and enough.
    (user.folder / "last.jsonl").write_text((user.folder / "before.jsonl").read_text("utf-8").splitlines()[-1])
    user.json("audit", "verify", "--checkpoint", "last.jsonl", code=1)


def test_a_checkpoint_of_another_home_is_refused(user: User, tmp_path: Path) -> None:
    (tmp_path / "other work").mkdir()
    other = User(tmp_path / "other", tmp_path / "other work")
    other.antin("init")
    file = tmp_path / "other.jsonl"
    other.antin("audit", "export", "-o", file)
    assert "path" in user.refused(1, "audit", "verify", "--checkpoint", file)
    assert "path" in user.refused(1, "audit", "verify", "--export", file)


def test_a_span_of_time_is_exported_from_its_first_act_to_its_last(user: User) -> None:
    times = [line["time"] for line in map(json.loads, user.antin("audit", "export").splitlines()[:-1])]
    user.antin("audit", "export", "--from", times[4], "--to", times[9], "-o", "some.jsonl")
    assert user.json("audit", "verify", "--export", "some.jsonl")["rows"] == 6
    user.antin("audit", "export", "--from", "2099-01-01T00:00:00Z", "-o", "none.jsonl")
    assert user.json("audit", "verify", "--export", "none.jsonl")["rows"] == 0


NONSENSE: list[tuple[tuple[str, ...], str]] = [
    (("verify", "--export", "missing"), "missing"),
    (("verify", "--checkpoint", "missing"), "missing"),
    (("verify", "--export", "."), "folder"),
    (("verify", "--export", "paper.pdf"), "no export"),
    (("verify", "--checkpoint", "/dev/null"), "no export"),
    (("verify", "--export", "paper.pdf", "--checkpoint", "paper.pdf"), "not allowed with"),
    (("verify", "--export", "paper.pdf", "--trust", "paper.pdf"), "paper.pdf"),
    (("export", "--from", "yesterday"), "yesterday"),
    (("export", "-o", "paper.pdf"), "paper.pdf"),
    (("export", "extra"), "extra"),
    ((), "ACTION"),
    (("rewrite",), "rewrite"),
]


def test_nonsense_is_refused_in_one_line(user: User) -> None:
    before = user.files()
    for words, said in NONSENSE:
        assert said in user.refused(2, "audit", *words), words
    assert user.files() == before


def test_an_export_that_cannot_be_written_or_signed_leaves_nothing(user: User) -> None:
    before = user.files()
    user.refused(2, "audit", "export", "-o", "no/such/folder/audit.jsonl")
    wrong = user.home / "wrong-pin"
    wrong.write_text("0000")
    user.refused(5, "audit", "export", "-o", "audit.jsonl", ANTIN_HSM__PIN_FILE=str(wrong))
    assert user.files() == before
    user.antin("audit", "export", "-o", "audit.jsonl")
    user.antin("audit", "export", "-o", "audit.jsonl", "--force")


def test_without_a_home_there_is_no_trail(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    stranger = User(tmp_path / "home", tmp_path / "work")
    for words in (("verify",), ("export",)):
        assert "no home here" in stranger.refused(2, "audit", *words)


def test_nothing_privileged_happens_while_the_trail_takes_no_row(user: User) -> None:
    refuse_rows(user)
    tables = ("certificates", "tokens", "documents", "signing_acts", "crls")
    before = {table: user.sql(f"SELECT * FROM {table}") for table in tables}
    files = user.files()
    for words in (
        ("cert", "revoke", "officer", "--reason", "keyCompromise"),
        ("cert", "issue", "--profile", "officer", "--subject", "CN=A,T=B,O=C,C=VN"),
        ("sign", "paper.pdf", "--as", "officer", "-o", "out.pdf"),
        ("token", "issue", "--scope", "sign"),
    ):
        assert "audit trail" in user.refused(5, *words), words
    assert {table: user.sql(f"SELECT * FROM {table}") for table in tables} == before
    assert user.files() == files


def test_documents_signed_side_by_side_by_two_processes_leave_a_whole_trail(user: User, pdf: bytes) -> None:
    before = user.json("audit", "verify")["rows"]
    with running(user, "--workers", "2") as service, ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda number: service.sign(pdf + b"%% another\n" * number), range(24)))
        # The token that signs was issued too.
        assert {answer.status_code for answer in answers} == {201}
    found = user.json("audit", "verify")
    assert found["whole"]
    assert found["rows"] >= before + 48


def test_the_service_answers_503_while_the_trail_takes_no_row(user: User, pdf: bytes) -> None:
    with running(user, "--workers", "1") as service:
        service.sign(pdf)
        refuse_rows(user)
        before = user.sql("SELECT count(*) FROM documents")
        answer = service.sign(pdf + b"%% another\n")
        problem(answer, 503, "AUDIT_STOPPED")
        assert int(answer.headers["retry-after"]) > 0
        assert "no room" not in answer.text
        assert user.sql("SELECT count(*) FROM documents") == before
        assert service.http.get("/healthz").status_code == 200
        assert not [line for line in service.log_lines() if line.get("status") == 500]


def test_a_home_of_the_release_before_verifies_once_it_was_brought_up(user: User) -> None:
    url = user.database if postgres.wanted() else f"sqlite:///{user.home / 'antin.db'}"
    database = Database(url)
    config = build_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
    database.close()
    assert "antin init" in user.refused(5, "audit", "verify")
    user.antin("init")
    rows = user.json("audit", "verify")["rows"]
    user.sign("paper.pdf", "officer", "out.pdf")
    assert user.json("audit", "verify")["rows"] == rows + 2
