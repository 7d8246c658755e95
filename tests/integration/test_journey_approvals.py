"""Journey: an office appoints people, and two of them are needed for what its rules say; every refusal is one line and an exit code."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from api.auth.tokens import SCOPES, issue_token
from api.wiring import open_installation
from pki.appointment import add_person
from pki.roles import Role, owner
from tests.installation import OFFICER_NAME, User

_FOUNDER = owner("founder")
_RULES = '[approvals]\nprofiles = ["officer"]\nacts = ["certificate.revoke", "token.issue", "person.grant"]\n'


@pytest.fixture
def office(user: User) -> User:
    """An and Bình register, Cúc is admin, Dung audits; each has a token in a file of that name."""
    people = {
        "an": Role.REGISTRATION_OFFICER, "binh": Role.REGISTRATION_OFFICER, "cuc": Role.ADMIN, "dung": Role.AUDITOR,
    }  # fmt: skip
    # As `antin person add` and `antin token issue` do it, without a process for each.
    with open_installation(user.surroundings()) as home:
        for name, role in people.items():
            add_person(name, name.title(), [role], _FOUNDER, home.persons)
            token, _ = issue_token(home.persons, _FOUNDER, scopes=SCOPES, name=f"of-{name}", person=name)
            (user.folder / name).write_text(token + "\n")
    with (user.home / "antin.toml").open("a") as settings:
        settings.write(_RULES)
    return user


def acts_as(name: str) -> tuple[str, ...]:
    return ("--actor", name, "--actor-token-file", name)


def waits(user: User, *words: str) -> int:
    """The number of the request that a command waits for."""
    said = user.refused(6, *words)
    assert said.startswith("antin: waits for approval ")
    return int(said.split()[4])


def seen(user: User, number: int) -> str:
    return str(user.json("approvals", "show", str(number))["sha256"])[:12]


def agree(user: User, number: int, name: str) -> None:
    user.antin("approvals", "approve", str(number), "--sha256", seen(user, number), *acts_as(name))


def audit(user: User, action: str) -> list[tuple[str, str]]:
    return user.sql("SELECT actor, subject_id FROM audit WHERE action = ? ORDER BY seq", action)


_ISSUE = (
    "cert",
    "issue",
    "--profile",
    "officer",
    "--subject",
    OFFICER_NAME,
    "--credential",
    "deputy",
    "-o",
    "deputy.pem",
)


def test_people_are_appointed_and_get_a_token_each(user: User) -> None:
    user.antin("person", "add", "an", "--full-name", "Nguyễn Văn An", "--role", "registration-officer")
    (user.folder / "an").write_text(user.antin("token", "issue", "--person", "an", "--scope", "ra"))
    (person,) = user.json("person", "list")
    assert (person["name"], person["full_name"], person["state"]) == ("an", "Nguyễn Văn An", "active")
    (token,) = user.json("token", "list")
    assert (token["person"], token["scopes"]) == ("an", ["ra"])
    user.antin("cert", "revoke", "officer", "--reason", "superseded", *acts_as("an"))
    assert [actor for actor, _ in audit(user, "certificate.revoke")] == ["an"]
    # Published by whoever revoked.
    assert audit(user, "crl.sign")[-1] == ("an", "issuing")
    # The token's scope narrows what the roles allow, and the roles what the scope does.
    user.antin("person", "add", "cuc", "--full-name", "Cúc", "--role", "admin")
    user.antin("person", "grant", "an", "admin")
    assert "document.sign" in user.refused(1, "sign", "paper.pdf", "--as", "seal", "-o", "x.pdf", *acts_as("an"))
    user.antin("person", "disable", "an")
    assert "disabled" in user.refused(1, "ca", "publish", *acts_as("an"))
    told = [action for (action,) in user.sql("SELECT action FROM audit WHERE subject_kind = 'person' ORDER BY seq")]
    assert told == ["person.add", "person.add", "person.grant", "person.disable"]


def test_a_certificate_needs_two_people_and_comes_once(office: User) -> None:
    before = office.json("hsm", "keys")
    number = waits(office, *_ISSUE, *acts_as("an"))
    assert waits(office, *_ISSUE, *acts_as("an")) == number
    assert office.json("hsm", "keys") == before  # keys are for ever, so there is none yet
    (listed,) = office.json("approvals", "list")
    assert (listed["id"], listed["state"], listed["asked_by"], listed["needed"]) == (number, "waiting", "an", 1)
    assert listed["content"]["asked"]["credential"] == "deputy"

    hash_ = seen(office, number)
    approve = ("approvals", "approve", str(number), "--sha256")
    assert "own" in office.refused(1, *approve, hash_, *acts_as("an"))
    assert "approval.vote" in office.refused(1, *approve, hash_, *acts_as("dung"))
    assert "SHA-256" in office.refused(1, *approve, "0" * 12, *acts_as("binh"))
    assert "8 digits" in office.refused(2, *approve, hash_[:7], *acts_as("binh"))
    assert f"approve {number} --sha256" in office.refused(2, *approve[:3], *acts_as("binh"))
    office.refused(2, "approvals", "approve", "99", "--sha256", hash_, *acts_as("binh"))
    office.antin(*approve, hash_, *acts_as("binh"))
    office.refused(1, *approve, hash_, *acts_as("binh"))

    office.antin(*_ISSUE, *acts_as("an"))
    record = office.json("cert", "show", "deputy")
    assert ("an", record["serial"]) in audit(office, "certificate.issue")
    assert audit(office, "approval.use") == [("an", str(number))]
    # The credential is there: asked once more it is refused, and nobody is bothered.
    office.refused(2, *_ISSUE, "--force", *acts_as("an"))
    assert office.json("approvals", "list") == []
    assert office.json("approvals", "show", str(number))["state"] == "done"
    assert office.findings() == {}


def test_a_rejection_is_a_no_and_what_has_changed_is_asked_anew(office: User) -> None:
    number = waits(office, *_ISSUE, *acts_as("an"))
    office.antin("approvals", "reject", str(number), "--reason", "Sai chức vụ", *acts_as("binh"))
    assert "binh rejected" in office.refused(1, *_ISSUE, *acts_as("an"))
    assert "Sai chức vụ" in office.antin("approvals", "show", str(number))
    other = waits(office, *_ISSUE[:5], OFFICER_NAME.replace("Phó", "Quyền"), *_ISSUE[6:], *acts_as("an"))
    assert other != number
    # Suspended meanwhile: what was approved is another certificate now.
    revoke = ("cert", "revoke", "officer", "--reason", "superseded")
    approved = waits(office, *revoke, *acts_as("an"))
    agree(office, approved, "binh")
    office.antin("cert", "revoke", "officer", "--reason", "certificateHold", *acts_as("cuc"))
    assert "something else" in office.refused(1, *revoke, *acts_as("an"))
    assert office.json("cert", "show", "officer")["state"] == "suspended"
    anew = waits(office, *revoke, *acts_as("an"))
    agree(office, anew, "cuc")
    office.antin(*revoke, *acts_as("an"))
    assert office.json("cert", "show", "officer")["state"] == "revoked"


def test_a_request_ends_with_its_days(office: User) -> None:
    number = waits(office, *_ISSUE, *acts_as("an"))
    agree(office, number, "binh")
    office.sql("UPDATE approvals SET expires_at = '2020-01-01 00:00:00.000000'")
    assert waits(office, *_ISSUE, *acts_as("an")) != number
    states = {each["id"]: each["state"] for each in office.json("approvals", "list", "--all")}
    assert states[number] == "expired"
    assert "deputy.pem" not in office.files()


def test_the_owner_asks_and_a_person_agrees_and_the_other_way_round(office: User) -> None:
    number = waits(office, *_ISSUE)
    assert "own" in office.refused(1, "approvals", "approve", str(number), "--sha256", seen(office, number))
    agree(office, number, "an")
    office.antin(*_ISSUE)
    grant = ("person", "grant", "an", "admin", *acts_as("cuc"))
    number = waits(office, *grant)
    office.antin("approvals", "approve", str(number), "--sha256", seen(office, number))
    office.antin(*grant)
    assert office.json("person", "show", "an")["roles"] == ["admin", "registration-officer"]
    number = waits(office, "token", "issue", "--person", "binh", "--scope", "ra", *acts_as("cuc"))
    agree(office, number, "an")
    assert office.antin("token", "issue", "--person", "binh", "--scope", "ra", *acts_as("cuc")).startswith("antin_")


def test_on_a_terminal_the_content_is_shown_and_the_question_asked(office: User) -> None:
    number = waits(office, *_ISSUE, *acts_as("an"))

    def ask(answer: str) -> subprocess.CompletedProcess[str]:
        own, theirs = pty.openpty()
        os.write(own, answer.encode() + b"\n")
        try:
            return subprocess.run(
                office.command("approvals", "approve", str(number), *acts_as("binh")), stdin=theirs,
                capture_output=True, text=True, cwd=office.folder, env=office.surroundings(), check=False,
            )  # fmt: skip
        finally:
            os.close(own)
            os.close(theirs)

    left = ask("y")
    assert (left.returncode, left.stderr) == (1, "")
    assert office.json("approvals", "show", str(number))["state"] == "waiting"
    done = ask("yes")
    assert done.returncode == 0
    assert OFFICER_NAME.split(",")[0] in done.stdout
    assert "Approve exactly this?" in done.stdout
    (vote,) = office.json("approvals", "show", str(number))["votes"]
    assert vote["sha256"] == office.json("approvals", "show", str(number))["sha256"]


def test_who_says_he_is_a_person_proves_it(office: User) -> None:
    publish = ("ca", "publish")
    (office.folder / "nonsense").write_bytes(b"\xff\x00 not a token")
    before = office.sql("SELECT count(*) FROM audit")
    assert "does not belong to binh" in office.refused(1, *publish, "--actor", "binh", "--actor-token-file", "an")
    assert "does not belong to nobody" in office.refused(1, *publish, "--actor", "nobody", "--actor-token-file", "an")
    assert "no token known" in office.refused(1, *publish, "--actor", "an", "--actor-token-file", "nonsense")
    assert "actor-token-file" in office.refused(2, *publish, "--actor", "an")
    office.refused(2, *publish, "--actor", "an", "--actor-token-file", "missing")
    assert "unset" in office.refused(2, *publish, ANTIN_ACTOR_TOKEN_FILE="an")
    assert "crl.sign" in office.refused(1, *publish, *acts_as("dung"))
    assert office.sql("SELECT count(*) FROM audit") == before
    assert office.antin(*publish, "--all", "--actor", "an", ANTIN_ACTOR_TOKEN_FILE="an")
    assert audit(office, "crl.sign")[-1][0] == "an"
    # A token that belongs to nobody makes nobody of anybody.
    number = waits(office, "token", "issue", "--scope", "ra")
    agree(office, number, "cuc")
    (office.folder / "kiosk").write_text(office.antin("token", "issue", "--scope", "ra"))
    office.refused(1, *publish, "--actor", "kiosk", "--actor-token-file", "kiosk")


def test_a_token_that_ended_and_a_person_who_is_disabled_act_no_more(office: User) -> None:
    publish = ("ca", "publish", *acts_as("an"))
    office.sql("UPDATE tokens SET expires_at = '2020-01-01 00:00:00.000000' WHERE name = 'of-an'")
    assert "expired" in office.refused(1, *publish)
    office.antin("token", "revoke", "of-binh")
    assert "revoked" in office.refused(1, "ca", "publish", *acts_as("binh"))
    office.antin("person", "add", "em", "--full-name", "Em", "--role", "admin")
    office.antin("person", "disable", "cuc", *acts_as("cuc"))
    assert "cuc is disabled" in office.refused(1, "person", "enable", "cuc", *acts_as("cuc"))
    assert "last active admin" in office.refused(1, "person", "disable", "em")
    # A vote of his counts no more either, and his tokens come back with him.
    office.antin("person", "enable", "cuc")
    number = waits(office, *_ISSUE)
    agree(office, number, "cuc")
    office.antin("person", "disable", "cuc")
    assert waits(office, *_ISSUE) == number


def test_tokens_and_secrets_stand_in_no_row_and_no_answer(office: User) -> None:
    token = (office.folder / "an").read_text().strip()
    number = waits(office, *_ISSUE, *acts_as("an"))
    said = office.antin("approvals", "show", str(number), "--json") + office.antin("person", "list", "--json")
    rows = [office.sql(f"SELECT * FROM {table}") for table in ("audit", "approvals", "persons", "tokens")]
    assert token not in said + str(rows)


def test_nonsense_is_answered_in_one_line(office: User) -> None:
    before = office.sql("SELECT count(*) FROM audit")
    cases = [
        (("person", "add", "Mr X", "--full-name", "X"), 2),
        (("person", "add", "x", "--full-name", "a\u202eb"), 2),
        (("person", "add", "x", "--full-name", ""), 2),
        (("person", "add", "x", "--full-name", "X", "--role", "king"), 2),
        (("person", "add", "an", "--full-name", "X"), 2),
        (("person", "show", "x\u202e"), 2),
        (("person", "grant", "nobody", "admin"), 2),
        (("person", "grant", "dung", "admin"), 1),
        (("person", "withdraw", "cuc", "admin"), 1),
        (("token", "issue"), 2),
        (("token", "issue", "--person", "nobody"), 2),
        (("approvals", "show", "1"), 2),
        (("approvals", "show", "9" * 30), 2),
        (("approvals", "reject", "1", "--reason", ""), 2),
    ]
    for words, code in cases:
        office.refused(code, *words)
    assert office.sql("SELECT count(*) FROM audit") == before


def test_settings_that_would_be_waited_for_in_vain_are_refused(office: User) -> None:
    assert "officer" in office.refused(2, *_ISSUE, ANTIN_APPROVALS__PROFILES="oficer")
    assert "person.grant" in office.refused(2, "person", "list", ANTIN_APPROVALS__ACTS="person.gran")
    office.refused(2, "person", "list", ANTIN_APPROVALS__DAYS="0")


def test_a_home_of_before_has_no_rules_and_no_persons(user: User) -> None:
    assert user.json("person", "list") == []
    assert user.json("approvals", "list") == []
    user.antin(*_ISSUE)
    assert Path(user.folder / "deputy.pem").is_file()
