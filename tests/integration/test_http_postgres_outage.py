"""A PostgreSQL server that dies under the service, before, in the middle of and after a request: said plainly, found again, nothing half done."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from api.words import LANGUAGES, Words
from certs.clock import VIETNAM
from signer.codes import new_code
from tests.installation import User, copy_home
from tests.integration.http_service import Service, problem, running, web_processes
from tests.postgres import Cluster, cluster, setting

pytestmark = pytest.mark.walk

# The number of a lock that only these tests know.
_GATE = 4711
# Every act that is to be finished waits before the test's gate: the key was used, the file is stored, the register does not say so yet.
_WAIT_BEFORE_THE_LAST_COMMIT = f"""
    CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock_shared({_GATE}); RETURN NEW; END $$;
    CREATE TRIGGER gate BEFORE UPDATE ON signing_acts FOR EACH ROW EXECUTE FUNCTION wait_at_gate();
"""
# With the commit of a finished act the database lets nobody in any more, and all but the writer are thrown out.
_NOBODY_COMES_IN_AFTER_THE_LAST_COMMIT = """
    CREATE FUNCTION close_doors() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE pg_database SET datallowconn = false WHERE datname = current_database();
        PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid();
        RETURN NEW;
    END $$;
    CREATE TRIGGER doors AFTER UPDATE ON signing_acts FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION close_doors();
"""


@pytest.fixture(scope="module")
def server() -> Cluster:
    return cluster()


@pytest.fixture(scope="module")
def founded_there(server: Cluster, paper: Path, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A demonstration home whose rows are on PostgreSQL. Never used itself, only copied with its database."""
    folder = tmp_path_factory.mktemp("founded-on-postgresql")
    user = User(folder / "home", folder, setting(server.new()))
    user.antin("init", "--demo")
    shutil.copy(paper, folder / "paper.pdf")
    return user


@pytest.fixture
def user(server: Cluster, founded_there: User, tmp_path: Path) -> Iterator[User]:
    copy_home(founded_there.home, tmp_path / "home")
    (tmp_path / "work").mkdir()
    shutil.copy(founded_there.folder / "paper.pdf", tmp_path / "work" / "paper.pdf")
    name = make_url(founded_there.environment["ANTIN_DATABASE__URL"]).database
    assert name is not None
    user = User(tmp_path / "home", tmp_path / "work", setting(server.new(name)))
    # A sequence logs 32 numbers ahead and forgets that in a copied database: without this it would give numbers twice after a crash.
    server.say("CHECKPOINT")
    yield user
    server.drop(user.database)


@contextmanager
def dead(server: Cluster) -> Iterator[None]:
    """The server is gone as by a power cut, and comes back."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def sending(send: Any) -> Iterator[list[Any]]:
    """A request is on its way in a thread of its own; its answer is in the list afterwards."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(send()))
    thread.start()
    yield answers
    thread.join(timeout=60)
    assert len(answers) == 1


@contextmanager
def in_the_way(server: Cluster, user: User, *statements: str) -> Iterator[None]:
    """Somebody holds a lock and does not let go until the server is gone."""
    connection = server.connect(str(user.database.database))
    try:
        for statement in statements:
            connection.execute(statement)
        yield
    finally:
        connection.close()


def rows(server: Cluster, user: User, statement: str) -> list[Any]:
    """What a superuser finds in the home's database, or does in it."""
    with server.connect(str(user.database.database)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def acts(server: Cluster, user: User) -> dict[str, int]:
    return dict(rows(server, user, "SELECT state, count(*) FROM signing_acts GROUP BY state"))


def somebody_waits(server: Cluster, user: User, kind: str) -> None:
    """Returns once a transaction of the service waits for a lock of this kind."""
    patience = time.monotonic() + 30
    name = user.database.database
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock' AND wait_event = %s"
    while server.answer(query, name, kind) == 0:
        assert time.monotonic() < patience
        time.sleep(0.02)


def no_defect(service: Service) -> None:
    """No 500, no traceback, and nothing about where the database is told to strangers."""
    assert "Traceback" not in service.log.read_text("utf-8")
    assert not [line for line in service.log_lines() if line.get("status") == 500]


def unavailable(answer: httpx.Response, server: Cluster) -> None:
    problem(answer, 503, "REGISTER_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert str(server.folder) not in answer.text


def test_between_two_requests_what_needs_the_register_says_503_and_the_next_after_it_is_served(
    server: Cluster, user: User, pdf: bytes
) -> None:
    with running(user, "--workers", "1") as service:
        first = service.sign(pdf)
        assert first.status_code == 201, first.text
        own = first.json()["links"]
        signed = service.http.get(own["file"]).content
        with dead(server):
            for key in (None, "tried while dead"):
                unavailable(service.sign(pdf, key=key), server)
            for path in (own["self"], own["file"]):
                unavailable(service.http.get(path), server)
            told = service.send("POST", "/api/v1/verify", token=None, files={"file": ("paper.pdf", signed)})
            unavailable(told, server)
            assert service.http.get("/healthz").status_code == 200
            ready = problem(service.http.get("/readyz"), 503, "NOT_READY")
            assert ready["checks"]["database"] != "ok"
            page = service.http.get(own["verify"], headers={"Accept": "text/html"})
            assert page.status_code == 503
            assert str(server.folder) not in page.text
        assert service.http.get("/readyz").status_code == 200
        assert service.sign(pdf, key="tried while dead").status_code == 201
        assert service.verify(signed)["conclusion"] == "valid"
        no_defect(service)
    assert acts(server, user) == {"done": 2}
    assert user.findings() == {}


def test_what_was_published_is_served_from_its_files_and_kept_by_nobody_for_long(server: Cluster, user: User) -> None:
    public = user.home / "public"
    number = next(path.stem for path in (public / "crl" / "issuing").iterdir() if path.stem.isdigit())
    published = {
        "/crl/issuing.crl": public / "crl" / "issuing.crl",
        f"/crl/issuing/{number}.crl": public / "crl" / "issuing" / f"{number}.crl",
        "/crl/root.crl": public / "crl" / "root.crl",
        "/ca/issuing.cer": public / "ca" / "issuing.cer",
    }
    with running(user, "--workers", "1") as service:
        before = {path: service.http.get(path) for path in published}
        with dead(server):
            for path, file in published.items():
                answer = service.http.get(path)
                assert (answer.status_code, answer.content) == (200, file.read_bytes()), path
                for name in ("content-type", "etag", "last-modified"):
                    assert answer.headers[name] == before[path].headers[name], (path, name)
                # A list of a number never changes. Whether another file is the newest, only the database could say.
                age = int(answer.headers["cache-control"].partition("max-age=")[2].partition(",")[0])
                assert age == (31536000 if path.endswith(f"/{number}.crl") else 60), path
                known = service.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
                assert (known.status_code, known.content) == (304, b""), path
            # Whether there is one that was never published here is a question for the database.
            for path in (
                "/crl/nobody.crl",
                "/ca/nobody.cer",
                "/crl/issuing/4711.crl",
                "/crl/..%2fissuing.crl",
                "/ca/%00.cer",
            ):
                assert service.http.get(path).status_code in (404, 503), path
            unavailable(service.http.get("/crl/nobody.crl"), server)
            (public / "crl" / "issuing.crl").write_bytes(b"half a file")
            unavailable(service.http.get("/crl/issuing.crl"), server)
        assert service.http.get("/crl/issuing.crl").content == before["/crl/issuing.crl"].content
        no_defect(service)


def test_the_silent_register_is_named_with_the_time_of_its_last_answer(server: Cluster, user: User, pdf: bytes) -> None:
    with running(user, "--workers", "1") as service:
        begun = datetime.now(UTC).replace(microsecond=0)
        assert service.verify(pdf)["conclusion"] == "unsigned"
        read = datetime.now(UTC)
        time.sleep(1.1)  # the times are told in whole seconds
        with dead(server):
            told = service.send("POST", "/api/v1/verify", token=None, files={"file": ("paper.pdf", pdf)})
            unavailable(told, server)
            source = told.json()["sources"][0]
            assert source["kind"] == "register"
            assert begun <= datetime.fromisoformat(source["last_good"]) <= read
            shown = datetime.fromisoformat(source["last_good"]).astimezone(VIETNAM).strftime("%d/%m/%Y %H:%M:%S +07:00")
            for language in LANGUAGES:
                sentence = Words(language).say("WEB_SOURCE_register_down", {"time": shown})
                for page in (
                    service.http.post(f"/verify?lang={language}", files={"file": ("paper.pdf", pdf)}),
                    service.http.get(f"/v/{new_code()}?lang={language}"),
                    service.http.get(f"/certificates?serial=00ff&lang={language}"),
                ):
                    assert page.status_code == 503
                    assert sentence in page.text
        assert service.verify(pdf)["conclusion"] == "unsigned"


def test_a_service_that_nobody_asks_looks_at_its_register_by_itself(server: Cluster, user: User) -> None:
    """So that the time told in an outage is not that of the last visitor."""
    with running(user, "--workers", "1") as service:
        patience = time.monotonic() + 30
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state = 'idle' AND query = 'ROLLBACK'"
        while server.answer(query, user.database.database) == 0:
            assert time.monotonic() < patience
            time.sleep(0.05)
        time.sleep(0.5)
        with dead(server):
            told = service.http.get("/api/v1/certificates/00ff")
        unavailable(told, server)
        assert told.json()["sources"][0]["last_good"] is not None


def test_a_process_born_into_the_silence_says_that_it_never_heard_the_register(server: Cluster, user: User) -> None:
    with running(user, "--workers", "1") as service:
        (first,) = web_processes(service.process.pid)
        with dead(server):
            os.kill(first, signal.SIGKILL)
            told = answer_of_the_next(service)
            unavailable(told, server)
            assert told.json()["sources"] == [{"kind": "register", "last_good": None}]
            page = service.http.get("/certificates?serial=00ff&lang=en")
            assert Words("en").say("WEB_SOURCE_register_never") in page.text


def answer_of_the_next(service: Service) -> httpx.Response:
    """What the process says that takes the dead one's place."""
    patience = time.monotonic() + 60
    while True:
        try:
            return service.http.get("/api/v1/certificates/00ff")
        except httpx.TransportError:
            assert time.monotonic() < patience
            time.sleep(0.1)


def test_before_the_intent_nothing_was_done(server: Cluster, user: User, pdf: bytes) -> None:
    with running(user, "--workers", "1", ANTIN_DATABASE__BUSY_SECONDS="60") as service:
        with in_the_way(server, user, "BEGIN", "LOCK TABLE signing_acts IN EXCLUSIVE MODE"):
            with sending(lambda: service.sign(pdf)) as answers:
                somebody_waits(server, user, "relation")
                server.stop()
            unavailable(answers[0], server)
            server.start()
        assert acts(server, user) == {}
        assert service.sign(pdf).status_code == 201
        no_defect(service)
    assert user.findings() == {}


def test_after_the_key_was_used_an_intent_stays_that_the_doctor_names(server: Cluster, user: User, pdf: bytes) -> None:
    rows(server, user, _WAIT_BEFORE_THE_LAST_COMMIT)
    with running(user, "--workers", "1", ANTIN_DATABASE__BUSY_SECONDS="60") as service:
        with in_the_way(server, user, f"SELECT pg_advisory_lock({_GATE})"):
            with sending(lambda: service.sign(pdf, key="once")) as answers:
                somebody_waits(server, user, "advisory")
                server.stop()
            unavailable(answers[0], server)
            server.start()
        assert acts(server, user) == {"intent": 1}
        assert rows(server, user, "SELECT count(*) FROM signing_acts WHERE output_sha256 IS NOT NULL") == [(0,)]
        # The key stays taken until its request counts as dead, so that nothing is signed twice.
        again = service.sign(pdf, key="once")
        problem(again, 409, "IDEMPOTENCY_IN_PROGRESS")
        assert int(again.headers["retry-after"]) > 0
        assert service.sign(pdf).status_code == 201
        no_defect(service)
    rows(server, user, "UPDATE signing_acts SET claimed_time = claimed_time - interval '1 hour'")
    assert user.findings() == {"DOCTOR_ACT_OPEN": "register"}


def test_what_was_committed_is_told_though_the_register_falls_silent_right_after(
    server: Cluster, user: User, pdf: bytes
) -> None:
    """Said to have failed, it would be signed a second time."""
    rows(server, user, _NOBODY_COMES_IN_AFTER_THE_LAST_COMMIT)
    with running(user, "--workers", "1") as service:
        answer = service.sign(pdf, key="once")
        server.say(f'ALTER DATABASE "{user.database.database}" ALLOW_CONNECTIONS true')
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "in-force"
        assert service.http.get(answer.json()["links"]["self"]).json()["status"] == answer.json()["status"]
        assert service.sign(pdf, key="once").json() == answer.json()
        no_defect(service)
    assert acts(server, user) == {"done": 1}


def test_under_load_every_document_that_was_promised_is_there(server: Cluster, user: User, pdf: bytes) -> None:
    answers: list[httpx.Response] = []
    over = threading.Event()
    with running(user, "--workers", "2") as service:

        def work() -> None:
            with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as line:
                while not over.is_set():
                    answers.append(
                        line.post(
                            "/api/v1/documents",
                            headers={"Authorization": f"Bearer {service.token}"},
                            files={"file": ("paper.pdf", pdf)},
                            data={"credential": "officer"},
                        )
                    )

        def wait_for(status: int) -> None:
            seen, patience = len(answers), time.monotonic() + 30
            while not any(each.status_code == status for each in answers[seen:]):
                assert time.monotonic() < patience
                time.sleep(0.02)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                wait_for(201)
                with dead(server):
                    wait_for(503)
            wait_for(201)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        no_defect(service)
        for each in answers:
            if each.status_code != 201:
                unavailable(each, server)
        promised = {each.json()["code"] for each in answers if each.status_code == 201}
        kept = {
            code for code in promised if service.http.get(f"/api/v1/documents/{code}").json()["status"] == "in-force"
        }
        assert kept == promised
        assert (
            service.verify(service.http.get(f"/api/v1/documents/{min(promised)}/file").content)["conclusion"] == "valid"
        )
    states = Counter(acts(server, user))
    # A commit may have happened though its answer was lost; a promise never goes without one.
    assert states["done"] >= len(promised)
    assert states.keys() <= {"done", "intent", "failed"}
