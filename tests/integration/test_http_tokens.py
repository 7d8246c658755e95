"""Bearer tokens: who may what, for how long, over which connection."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.installation import User
from tests.integration.http_service import Service, problem, running


def test_a_token_is_printed_alone_and_stored_as_a_digest_only(user: User) -> None:
    printed = user.antin("token", "issue", "--scope", "sign", "verify", "--name", "kiosk-1")
    assert re.fullmatch(r"antin_[A-Za-z0-9_-]{43}\n", printed)
    (row,) = user.sql("SELECT name, sha256, scopes FROM tokens")
    assert row == ("kiosk-1", hashlib.sha256(printed.strip().encode()).hexdigest(), "sign verify")
    assert printed.strip() not in str(user.sql("SELECT * FROM tokens") + user.sql("SELECT * FROM audit"))
    (listed,) = user.json("token", "list")
    assert (listed["name"], listed["state"], listed["scopes"]) == ("kiosk-1", "active", ["sign", "verify"])
    assert user.sql("SELECT action, subject_id FROM audit WHERE action LIKE 'token.%'") == [("token.issue", "kiosk-1")]


def test_a_token_that_cannot_be_meant_is_refused(user: User) -> None:
    assert "sing" in user.refused(2, "token", "issue", "--scope", "sing")
    user.refused(2, "token", "issue", "--scope", "sign", "--days", "0")
    user.refused(2, "token", "issue", "--scope", "sign", "--days", "99999")
    user.refused(2, "token", "issue", "--scope", "sign", "--name", "No Name")
    user.antin("token", "issue", "--scope", "sign", "--name", "one")
    user.refused(2, "token", "issue", "--scope", "sign", "--name", "one")
    user.refused(2, "token", "revoke", "another")
    assert len(user.json("token", "list")) == 1


def test_without_a_good_token_nothing_is_signed(service: Service, pdf: bytes) -> None:
    files = {"file": ("a.pdf", pdf)}
    before = len(service.user.json("document", "list"))
    missing = service.send("POST", "/api/v1/documents", token=None, files=files, data={"credential": "officer"})
    assert "antin token issue --scope sign" in problem(missing, 401, "TOKEN_MISSING")["detail"]
    assert missing.headers["www-authenticate"] == 'Bearer realm="antin"'
    for wrong in ("antin_" + "A" * 43, "nonsense", service.token[:-1], service.token + "x"):
        answer = service.send(
            "POST", "/api/v1/documents", headers={"Authorization": f"Bearer {wrong}"}, token=None, files=files
        )
        problem(answer, 401, "TOKEN_WRONG")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    basic = service.send("POST", "/api/v1/documents", headers={"Authorization": "Basic YTpi"}, token=None, files=files)
    problem(basic, 401, "TOKEN_SCHEME_WRONG")
    assert len(service.user.json("document", "list")) == before


@pytest.mark.parametrize("scope", ["verify", "ra", "ca", "audit"])
def test_a_token_of_another_scope_may_neither_sign_nor_recall(service: Service, pdf: bytes, scope: str) -> None:
    token = service.issue_token("--scope", scope)
    answer = service.send(
        "POST", "/api/v1/documents", token=token, files={"file": ("a.pdf", pdf)}, data={"credential": "officer"}
    )
    problem(answer, 403, "TOKEN_SCOPE_MISSING")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    own = service.sign(pdf).json()["links"]["self"]
    problem(service.send("POST", f"{own}/recall", token=token, json={"reason": "x"}), 403, "TOKEN_SCOPE_MISSING")
    assert service.http.get(own).json()["status"] == "in-force"


def test_a_revoked_or_expired_token_ends_at_once_everywhere(service: Service, pdf: bytes) -> None:
    revoked = service.issue_token("--scope", "sign", "--name", "gone")
    expired = service.issue_token("--scope", "sign", "--name", "over")
    own = service.sign(pdf).json()["links"]["self"]
    assert service.send("GET", own, token=revoked).status_code == 200
    service.user.antin("token", "revoke", "gone")
    service.user.sql("UPDATE tokens SET expires_at = '2020-01-01 00:00:00.000000' WHERE name = 'over'")
    for _ in range(6):
        # Also where nobody needs a token: one that is sent must be good.
        problem(service.send("GET", own, token=revoked, headers={"Connection": "close"}), 401, "TOKEN_REVOKED")
        problem(service.send("GET", own, token=expired, headers={"Connection": "close"}), 401, "TOKEN_EXPIRED")
    states = {each["name"]: each["state"] for each in service.user.json("token", "list")}
    assert (states["gone"], states["over"]) == ("revoked", "expired")


def test_a_token_in_the_clear_from_elsewhere_is_refused_before_it_is_looked_at(service: Service, pdf: bytes) -> None:
    """A proxy that is not ours, or a client that pretends to be one, does not make a connection safe."""
    own = service.sign(pdf).json()["links"]["self"]
    for headers in (
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"},
        {"Forwarded": "for=203.0.113.7;proto=https"},
    ):
        problem(service.send("GET", own, headers=headers), 403, "TOKEN_NEEDS_TLS")
        problem(service.send("GET", own, headers=headers, token="antin_" + "A" * 43), 403, "TOKEN_NEEDS_TLS")
        assert service.send("GET", own, headers=headers, token=None).status_code == 200


def test_a_trusted_proxy_says_what_it_heard_and_strangers_are_held_back(user: User, pdf: bytes) -> None:
    settings = {"ANTIN_WEB__TRUSTED_PROXIES": "127.0.0.1", "ANTIN_WEB__ANONYMOUS_PER_SECOND": "1"}
    with running(user, "--workers", "1", **settings) as service:
        safe = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
        signed = service.send(
            "POST", "/api/v1/documents", headers=safe, files={"file": ("a.pdf", pdf)}, data={"credential": "officer"}
        )
        assert signed.status_code == 201, signed.text
        assert "strict-transport-security" not in service.http.get("/healthz").headers
        own = signed.json()["links"]["self"]
        problem(service.send("GET", own, headers={**safe, "X-Forwarded-Proto": "http"}), 403, "TOKEN_NEEDS_TLS")
        # Whoever is nearer than the proxy can write into the header, but not after it.
        problem(service.send("GET", own, headers={**safe, "X-Forwarded-Proto": "https, http"}), 403, "TOKEN_NEEDS_TLS")
        answers = [service.send("GET", own, token=None, headers=safe) for _ in range(6)]
        assert answers[0].status_code == 200
        problem(answers[-1], 429, "TOO_MANY_REQUESTS")
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (
            service.send("GET", own, token=None, headers={**safe, "X-Forwarded-For": "203.0.113.8"}).status_code == 200
        )
        assert [service.send("GET", own, headers=safe).status_code for _ in range(6)] == [200] * 6


def test_uses_of_a_token_are_noted_when_the_service_ends(user: User, pdf: bytes) -> None:
    with running(user, "--workers", "1") as service:
        service.sign(pdf)
        assert user.json("token", "list")[0]["last_used_at"] is None
        service.stop()
    assert user.json("token", "list")[0]["last_used_at"] is not None
