"""A home that an earlier release has made opens with this one, and each command says what to do until then."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import text

from api.migrations.runner import build_config
from certs.db import Database
from tests import postgres
from tests.installation import User

# The last schema before chains, persons and approvals, search, stored OCSP answers and CRL scopes.
EARLY = "0004"


def take_back(user: User) -> None:
    """The database as the release of that schema has left it: the same rows in its tables."""
    url = user.database if postgres.wanted() else f"sqlite:///{user.home / 'antin.db'}"
    database = Database(url)
    config = build_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, EARLY)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == EARLY
    database.close()


@pytest.fixture
def early(user: User) -> User:
    user.sign("paper.pdf", "officer", "signed.pdf", "--level", "B-T")
    user.antin("cert", "revoke", "seal", "--reason", "superseded")
    take_back(user)
    return user


def test_a_home_of_an_earlier_release_opens_after_init(early: User) -> None:
    # Before that, a command says what to do, and changes nothing.
    for words in (("cert", "list"), ("sign", "paper.pdf", "--as", "officer", "-o", "x.pdf"), ("audit", "verify")):
        assert "antin init" in early.refused(5, *words)
    recipient = early.antin("backup", "keygen", "-o", "recovery.key").strip()
    assert "antin init" in early.refused(5, "backup", "create", "-o", "x", "--recipient", recipient)
    early.antin("init")
    early.antin("ca", "publish")
    assert early.findings() == {}
    assert early.json("verify", "signed.pdf")["conclusion"] == "valid"
    assert early.json("cert", "show", "seal")["state"] == "revoked"
    early.antin("audit", "verify")
    assert early.sign("paper.pdf", "officer", "new.pdf")["code"]
    assert early.json("verify", "new.pdf")["conclusion"] == "valid"
