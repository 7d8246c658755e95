"""The lists of a home are judged by pkilint before the authority's key is used, by every way that makes lists."""

from __future__ import annotations

import pytest

from api.jobs import CrlJob
from api.publishing import publish
from api.wiring import open_installation
from certs.errors import LintUnavailable
from certs.lint.second_opinion import SecondOpinion
from pki.roles import owner
from tests.installation import User


def test_without_pkilint_no_list_of_a_new_kind_is_signed_by_a_command_or_by_the_worker(user: User) -> None:
    signed = "SELECT number FROM crls WHERE sha256 IS NOT NULL OR delta_sha256 IS NOT NULL ORDER BY id"
    before = user.sql(signed)
    with open_installation(user.surroundings()) as installation:
        vars(installation)["second_opinion"] = SecondOpinion(child=("-c", "raise SystemExit"))
        with pytest.raises(LintUnavailable):
            publish(installation, owner("lists"), everything=True)
        user.sql("UPDATE authorities SET revocation_epoch = revocation_epoch + 1")
        job = CrlJob(installation)
        assert job.is_due()
        with pytest.raises(LintUnavailable):
            job.run()
    assert user.sql(signed) == before
    with open_installation(user.surroundings()) as installation:
        publish(installation, owner("lists"), everything=True)
    assert len(user.sql(signed)) > len(before)
