"""Short documents that wait at the same moment share their commits over HTTP; each keeps its own answer, actor and key."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

from starlette.datastructures import UploadFile

from api.auth.tokens import TokenRecord
from api.forms import Form
from api.services import Services
from api.settings import SignSettings
from api.sign_jobs import Done, SignJob, is_short, sign_all
from api.wiring import open_installation
from pki.audit import list_acts
from signer.errors import InputUnreadable, UsageWrong
from tests.installation import User
from tests.integration.http_service import Service, problem

# The judge process has to start first.
_PATIENT = 60.0


def _job(token: TokenRecord, pdf: bytes, key: str | None = None, **fields: str) -> SignJob:
    given = {"credential": "officer", "placement": "none", "level": "B-B"} | fields
    return SignJob(token, Form(given, "paper.pdf", UploadFile(io.BytesIO(pdf), size=len(pdf))), key)


def test_those_of_one_actor_share_two_commits_and_a_wrong_one_is_wrong_alone(user: User) -> None:
    issued = [user.antin("token", "issue", "--scope", "sign", "--name", name).strip() for name in ("mine", "other")]
    paper = (user.folder / "paper.pdf").read_bytes()
    with open_installation(user.surroundings()) as home:
        services = Services(home)
        mine, other = map(services.tokens.authenticate, issued)
        jobs = [
            _job(mine, paper + b"\n%1", "one"),
            _job(mine, b"no pdf", "two"),
            _job(other, paper + b"\n%2"),
            _job(mine, paper + b"\n%3", credential="nobody"),
            _job(mine, paper + b"\n%4"),
            _job(mine, paper + b"\n%5"),
        ]
        with home.database.read() as session:
            before = len(list_acts(session))
        first, no_pdf, others, unknown, fourth, fifth = sign_all(services, jobs, _PATIENT)
        assert isinstance(no_pdf, InputUnreadable)
        assert isinstance(unknown, UsageWrong)
        with home.database.read() as session:
            acts = [(act.action.removeprefix("document."), act.actor) for act in list_acts(session)[before:]]
        assert acts == [
            *[("sign.intent", mine.actor.name)] * 3,
            *[("sign", mine.actor.name)] * 3,
            ("sign.intent", other.actor.name),
            ("sign", other.actor.name),
        ]
        done = [each for each in (first, others, fourth, fifth) if isinstance(each, Done)]
        assert [each.level for each in done] == ["B-B"] * 4
        assert len({each.answer["code"] for each in done}) == 4

        # What was signed under a key is answered again; what was refused left its key free.
        again, now_good = sign_all(
            services, [_job(mine, paper + b"\n%1", "one"), _job(mine, paper + b"\n%6", "two")], _PATIENT
        )
        assert again == Done(done[0].answer)
        assert isinstance(now_good, Done)
        assert now_good.level == "B-B"

        # Where one takes longer than that, the others' turn comes later, and their keys are free until then.
        late = [_job(mine, paper + b"\n%%%d" % number, f"late {number}") for number in range(7, 10)]
        results = sign_all(services, late, 0.0)
        assert isinstance(results[0], Done)
        assert results[1:] == [None, None]
        assert isinstance(sign_all(services, late[1:], _PATIENT)[1], Done)
        services.close()


def test_long_files_and_those_that_want_a_time_stamp_hold_nobody_up(pdf: bytes) -> None:
    token = TokenRecord.__new__(TokenRecord)
    assert is_short(_job(token, pdf), SignSettings())
    assert not is_short(_job(token, pdf, level="B-T"), SignSettings())
    assert not is_short(_job(token, pdf, level=""), SignSettings(level="B-LT"))
    assert not is_short(_job(token, pdf + bytes(1024 * 1024)), SignSettings())


def test_a_crowd_gets_each_his_own_answer(service: Service, pdf: bytes) -> None:
    """Good ones, files that are none, credentials that are none, two callers: all at once."""
    other = service.issue_token("--scope", "sign", "--name", "other-caller")
    before = len(service.user.json("document", "list"))

    def ask(number: int) -> tuple[int, str, str]:
        kind = number % 4
        content = b"no pdf" if kind == 1 else pdf + b"\n%% crowd %d" % number
        answer = service.send(
            "POST",
            "/api/v1/documents",
            token=other if number % 3 == 0 else "",
            files={"file": (f"{number}.pdf", content)},
            data={"credential": "nobody" if kind == 2 else "officer", "level": "B-B"},
        )
        if kind == 1:
            problem(answer, 415, "INPUT_NOT_PDF")
        elif kind == 2:
            problem(answer, 422, "CREDENTIAL_UNKNOWN")
        else:
            assert answer.status_code == 201, answer.text
        return number, answer.json().get("code", ""), answer.headers["x-request-id"]

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(48)))
    signed = {number: code for number, code, _ in answers if number % 4 in (0, 3)}
    assert len(set(signed.values())) == 24
    assert len(service.user.json("document", "list")) == before + 24
    for number, code in signed.items():
        content = service.http.get(f"/api/v1/documents/{code}/file").content
        assert content.startswith(pdf + b"\n%% crowd %d" % number)
        record = service.send("GET", f"/api/v1/documents/{code}").json()
        assert record["name"] == f"{number}.pdf"
        assert ("other-caller" in record["signatures"][0]["actor"]) == (number % 3 == 0)
