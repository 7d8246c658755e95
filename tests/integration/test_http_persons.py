"""Tokens that belong to a person: over HTTP he does what his roles allow, in his own name."""

from __future__ import annotations

from tests.integration.http_service import Service, problem


def _token(service: Service, name: str, role: str, *scopes: str) -> str:
    service.user.antin("person", "add", name, "--full-name", name.title(), "--role", role)
    return service.issue_token("--person", name, "--scope", *scopes)


def _register(service: Service) -> int:
    return len(service.user.json("document", "list"))


def test_a_person_signs_and_recalls_in_his_own_name(service: Service, pdf: bytes) -> None:
    token = _token(service, "admin-an", "admin", "sign")
    files = {"file": ("a.pdf", pdf)}
    signed = service.send("POST", "/api/v1/documents", token=token, files=files, data={"credential": "officer"})
    assert signed.status_code == 201, signed.text
    own = signed.json()["links"]["self"]
    assert service.send("GET", own).json()["signatures"][0]["actor"] == "admin-an"
    assert service.send("POST", f"{own}/recall", token=token, json={"reason": "nhầm"}).status_code == 200
    acts = service.user.sql("SELECT action FROM audit WHERE actor = 'admin-an' ORDER BY seq")
    assert acts == [("document.sign.intent",), ("document.sign",), ("document.recall",)]


def test_a_scope_gives_nobody_what_his_roles_do_not(service: Service, pdf: bytes) -> None:
    before = _register(service)
    own = service.sign(pdf).json()["links"]["self"]
    for name, role in (("officer-binh", "registration-officer"), ("auditor-dung", "auditor")):
        token = _token(service, name, role, "sign")
        files = {"file": ("a.pdf", pdf)}
        refused = service.send("POST", "/api/v1/documents", token=token, files=files, data={"credential": "officer"})
        assert "document.sign" in problem(refused, 403, "ROLE_MISSING")["detail"]
        recalled = service.send("POST", f"{own}/recall", token=token, json={"reason": "x"})
        problem(recalled, 403, "ROLE_MISSING")
    assert _register(service) == before + 1
    assert service.http.get(own).json()["status"] == "in-force"


def test_a_disabled_persons_token_ends_at_once_and_comes_back_with_him(service: Service, pdf: bytes) -> None:
    token = _token(service, "admin-cuc", "admin", "sign")
    _token(service, "admin-em", "admin", "sign")
    own = service.sign(pdf).json()["links"]["self"]
    assert service.send("GET", own, token=token).status_code == 200
    service.user.antin("person", "disable", "admin-cuc")
    for _ in range(4):
        problem(service.send("GET", own, token=token, headers={"Connection": "close"}), 403, "TOKEN_PERSON_DISABLED")
    service.user.antin("person", "enable", "admin-cuc")
    assert service.send("GET", own, token=token).status_code == 200
