"""Journey: a person consents with a second factor to what is signed later: prepared documents, rows of files, batches over HTTP."""

from __future__ import annotations

import time

import pyotp

from tests.installation import User
from tests.integration.http_service import running
from tests.integration.test_http_batches import ended
from tests.signing_world import plain_paper


class Holder:
    """Who has the authenticator. A code is taken once, so a new one is waited for."""

    def __init__(self, user: User) -> None:
        uri = next(word for word in user.antin("consent", "enrol", "officer").split() if word.startswith("otpauth:"))
        totp = pyotp.parse_uri(uri)
        assert isinstance(totp, pyotp.TOTP)
        self._user, self._totp = user, totp
        # Codes of a minute around now are taken (RFC 6238 5.2): an earlier one first, so that nobody waits.
        self._steps = iter((-1, 0, 1))

    def give(self, *files: str) -> str:
        step = int(time.time()) + 30 * next(self._steps)
        (self._user.folder / "code").write_text(self._totp.at(step))
        answer = self._user.json("consent", "give", *files, "--as", "officer", "--code-file", "code")
        return str(answer["id"])


def test_prepared_at_the_command_line_and_in_a_batch_over_http(user: User) -> None:
    holder = Holder(user)
    (user.folder / "other.pdf").write_bytes(plain_paper("other"))
    one = user.json("prepare", "paper.pdf", "--as", "officer")
    assert "consent" in user.refused(1, "finish", one["id"], "-o", "a.pdf")
    given = holder.give("paper.pdf")
    user.antin("finish", one["id"], "-o", "a.pdf", "--activation", given)
    assert user.json("verify", "a.pdf")["conclusion"] == "valid"
    user.refused(1, "prepare", "paper.pdf", "--as", "officer", "--activation", given)
    both = holder.give("paper.pdf", "other.pdf")
    papers = [(user.folder / name).read_bytes() for name in ("paper.pdf", "other.pdf")]
    with running(user) as service:
        files = [("file", (f"{number}.pdf", paper)) for number, paper in enumerate(papers)]

        def hand_in(**fields: str):
            return service.send("POST", "/api/v1/batches", files=files, data={"credential": "officer", **fields})

        refused = hand_in()
        assert (refused.status_code, refused.json()["code"]) == (422, "ACTIVATION_NEEDED")
        batch = ended(service, hand_in(activation=both).json()["links"]["self"])
        assert batch["counts"]["done"] == 2
        again = hand_in(activation=both)
        assert again.json()["code"] == "ACTIVATION_USED"
        waiting = service.send(
            "POST", "/api/v1/prepared", files={"file": ("p.pdf", papers[1])}, data={"credential": "officer"}
        ).json()
        link = f"/api/v1/prepared/{waiting['id']}/finish"
        assert service.send("POST", link, json={}).json()["code"] == "ACTIVATION_NEEDED"
        assert service.send("POST", link, json={"activation": 7}).status_code == 400
        done = service.send("POST", link, json={"activation": holder.give("other.pdf")})
        assert done.status_code == 201, done.text
    assert user.sql("SELECT count(*) FROM audit WHERE action = 'activation.use'")[0][0] == 4
