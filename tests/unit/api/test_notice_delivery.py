"""Notices travel to a real receiver: signed, each with one id however often, and one that fails holds up no other."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.ahead import judge_limits
from api.errors import ComponentError
from api.home import Home
from api.logs import JsonLines
from api.notice_delivery import Carried, carry_notices
from api.settings import load_settings
from api.wiring import Installation
from signer.sandbox import Judge
from tests.world import ADMIN, OFFICER_SUBJECT, SEAL_SUBJECT, World, build_world

SECRET = b"a secret of more than sixteen octets"


@dataclass
class Receiver:
    """An HTTP server that takes what it gets, or says what `answers` has for it; the last answer goes on."""

    answers: list[int] = field(default_factory=lambda: [200])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    location: str = ""
    url: str = ""

    def bodies(self) -> list[dict[str, object]]:
        return [json.loads(body) for _, body in self.got]


@contextmanager
def receiving(*answers: int, location: str = "") -> Iterator[Receiver]:
    receiver = Receiver(list(answers) or [200], location=location)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(
                ({name.lower(): value for name, value in self.headers.items()} | {"path": self.path}, body)
            )
            answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
            if answer == 0:
                self.connection.close()
                return
            self.send_response(answer)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/notices?of=antin"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = build_world(tmp_path)
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    yield world
    world.close()


def install(world: World, folder: Path, **settings: str) -> Installation:
    """The same rows with settings of a home."""
    url = world.database.url.render_as_string(hide_password=False)
    environment = {f"ANTIN_NOTICES__{name.upper()}": value for name, value in settings.items()}
    read = load_settings(folder / "antin.toml", environment | {"ANTIN_DATABASE__URL": url})
    return Installation(Home(folder), read, world.clock, Judge(judge_limits(read)))


@contextmanager
def installed(world: World, folder: Path, receiver: Receiver | None, **settings: str) -> Iterator[Installation]:
    if receiver is not None:
        settings = {"webhook": receiver.url, "webhook_secret_file": str(folder / "secret")} | settings
    with install(world, folder, **settings) as installation:
        yield installation


def ending(world: World, *subjects: tuple[str, str]) -> list[str]:
    """Certificates that end in twenty days."""
    serials = [world.certify(profile, subject).record.serial for profile, subject in subjects]
    world.clock.advance(days=711)
    return serials


TWO = (("officer", OFFICER_SUBJECT), ("agency-seal", SEAL_SUBJECT))


def logger_to(stream: io.StringIO) -> logging.Logger:
    logger = logging.Logger("antin")  # noqa: LOG001  one of its own: handlers of a shared one would outlive the test
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    return logger


def test_a_notice_is_logged_and_posted_once_and_names_nobody(world: World, tmp_path: Path) -> None:
    serials = ending(world, *TWO)
    said = io.StringIO()
    with receiving() as receiver, installed(world, tmp_path, receiver) as installation:
        assert carry_notices(installation, ADMIN, logger_to(said)) == Carried(
            made=2, logged=2, sent=2, failed=0, waiting=0
        )
        assert carry_notices(installation, ADMIN, logger_to(said)) == Carried(0, 0, 0, 0, 0)
    assert {body["serial"] for body in receiver.bodies()} == set(serials)
    (body,) = (each for each in receiver.bodies() if each["profile"] == "officer")
    assert set(body) == {"id", "event", "serial", "profile", "issuer", "not_after", "days", "made_at"}
    assert (body["event"], body["days"], body["issuer"]) == ("certificate.ends-soon", 30, "issuing")
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert {(line["event"], line["serial"], line["days"]) for line in lines} == {
        ("certificate ends soon", serial, 30) for serial in serials
    }
    for told in (said.getvalue(), *(octets.decode() for _, octets in receiver.got)):
        assert "Nguyễn" not in told
        assert "CCCD" not in told


def test_the_receiver_can_tell_who_sent_it_and_when(world: World, tmp_path: Path) -> None:
    ending(world, TWO[0])
    with receiving() as receiver, installed(world, tmp_path, receiver) as installation:
        carry_notices(installation, ADMIN, None)
    ((headers, body),) = receiver.got
    time, _, signature = headers["antin-signature"].partition(",")
    assert time == f"t={int(world.clock.now().timestamp())}"
    message = time.removeprefix("t=").encode() + b"." + body
    assert signature == f"v1={hmac.new(SECRET, message, hashlib.sha256).hexdigest()}"
    assert (headers["content-type"], headers["path"]) == ("application/json", "/notices?of=antin")


@pytest.mark.parametrize("answer", [500, 404, 302, 0])
def test_what_was_not_taken_comes_again_with_the_same_id(world: World, tmp_path: Path, answer: int) -> None:
    ending(world, TWO[0])
    with receiving(answer, 204) as receiver, installed(world, tmp_path, receiver) as installation:
        assert carry_notices(installation, ADMIN, None) == Carried(1, 0, 0, 1, 1)
        assert carry_notices(installation, ADMIN, None).sent == 0, "not before its pause is over"
        world.clock.advance(minutes=2)
        assert carry_notices(installation, ADMIN, None).sent == 1
        (notice,) = installation.notices.list_notices()
    assert (notice.attempts, notice.problem) == (2, "")
    assert receiver.got[0][1] == receiver.got[1][1]


def test_a_redirect_is_followed_nowhere(world: World, tmp_path: Path) -> None:
    ending(world, TWO[0])
    with receiving() as other, receiving(307, location=other.url) as receiver:
        with installed(world, tmp_path, receiver) as installation:
            assert carry_notices(installation, ADMIN, None).failed == 1
            assert installation.notices.list_notices()[0].problem == "HTTP 307"
        assert other.got == []


def test_one_that_is_refused_holds_up_no_other(world: World, tmp_path: Path) -> None:
    ending(world, *TWO)
    with receiving(400, 200) as receiver, installed(world, tmp_path, receiver) as installation:
        assert carry_notices(installation, ADMIN, None) == Carried(2, 0, 1, 1, 1)
    assert len(receiver.got) == 2


def test_nobody_there_is_no_end_of_the_log(world: World, tmp_path: Path) -> None:
    ending(world, TWO[0])
    said = io.StringIO()
    settings = {"webhook": "http://127.0.0.1:9/", "webhook_secret_file": str(tmp_path / "secret")}
    with installed(world, tmp_path, None, **settings) as installation:
        assert carry_notices(installation, ADMIN, logger_to(said)) == Carried(1, 1, 0, 1, 1)
        assert installation.notices.list_notices()[0].problem == "Connection refused"


def test_a_death_between_sending_and_noting_sends_the_same_once_more(world: World, tmp_path: Path) -> None:
    ending(world, TWO[0])
    with receiving() as receiver, installed(world, tmp_path, receiver) as installation:
        carry_notices(installation, ADMIN, None)
        # What the row was before the note: the process died with the answer in its hands.
        with world.database.write() as session:
            session.connection().exec_driver_sql(
                "UPDATE notices SET sent_at = NULL, attempts = 0, next_attempt_at = made_at"
            )
        assert carry_notices(installation, ADMIN, None).sent == 1
    first, second = receiver.bodies()
    assert first == second


def test_without_a_webhook_nothing_is_sent_or_waits(world: World, tmp_path: Path) -> None:
    ending(world, TWO[0])
    with installed(world, tmp_path, None) as installation:
        assert carry_notices(installation, ADMIN, None) == Carried(1, 0, 0, 0, 0)


@pytest.mark.parametrize(("content", "code"), [(None, "NOTICE_SECRET_UNREADABLE"), (b"short", "NOTICE_SECRET_REFUSED")])
def test_without_a_good_secret_nothing_is_sent_but_the_notice_is_made_and_logged(
    world: World, tmp_path: Path, content: bytes | None, code: str
) -> None:
    ending(world, TWO[0])
    (tmp_path / "secret").unlink()
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with receiving() as receiver, installed(world, tmp_path, receiver) as installation:
        with pytest.raises(ComponentError) as refused:
            carry_notices(installation, ADMIN, logger_to(io.StringIO()))
        assert refused.value.code == code
        assert installation.notices.list_notices()[0].logged_at is not None
    assert receiver.got == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook", "ftp://a.example/"), ("webhook", "https://me:secret@a.example/"), ("webhook", "https://"), ("webhook", "https://a:0/"),
        ("webhook", "https://a.example/\n"), ("webhook", "https://a.example/"), ("days", "0"), ("days", "30,30"), ("webhook_seconds", "0"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_meant_stops_the_start(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Exception, match=r"notices\."):
        load_settings(tmp_path / "antin.toml", {f"ANTIN_NOTICES__{name.upper()}": value})
