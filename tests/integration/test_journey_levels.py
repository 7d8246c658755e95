"""Journey: a document is signed to last, judged by who has only the root, raised afterwards, and raised by the worker when it had to wait."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from api.jobs import LevelJob
from api.wiring import open_installation
from certs.clock import SystemClock
from tests.attacks.pki import make, usage
from tests.installation import User
from tests.strangers import addresses, answering, saying, serving, stamping


def level_of(user: User, file: str, *words: str) -> list[str]:
    return [each["level"] for each in user.json("verify", file, *words)["signatures"] if each["type"] == "signature"]


def signed(user: User, credential: str, source: str, target: str, level: str) -> dict[str, object]:
    done: dict[str, object] = user.json("sign", source, "--as", credential, "-o", target, "--level", level)
    return done


def test_officer_and_seal_sign_at_b_lta_and_a_stranger_with_the_root_says_so(user: User, tmp_path: Path) -> None:
    assert signed(user, "officer", "paper.pdf", "a.pdf", "B-LT")["pending_level"] is None
    sealed = signed(user, "seal", "a.pdf", "b.pdf", "B-LTA")
    assert (sealed["level"], sealed["number"]) == ("B-LTA", 1)
    assert level_of(user, "b.pdf") == ["PAdES-B-LTA"] * 2
    assert (user.folder / "b.pdf").read_bytes().startswith((user.folder / "a.pdf").read_bytes())
    (user.folder / "root.pem").write_text(user.antin("ca", "show", "root", "--pem"))
    assert "\n      - Data that helps to check the signature later\n" in user.antin("verify", "b.pdf")
    verdict = user.json("verify", "b.pdf", "--trust", "root.pem", ANTIN_HOME=str(tmp_path / "nowhere"))
    assert [each["conclusion"] for each in verdict["signatures"]] == ["valid"] * len(verdict["signatures"])
    shown = user.json("document", "show", str(sealed["code"]))
    assert (shown["sha256"], shown["pending_level"]) == (sealed["sha256"], None)
    assert [each["level"] for each in shown["signatures"]] == ["B-LT", "B-LTA"]
    assert user.findings() == {} or "blobs" not in user.findings()


def test_upgrade_raises_and_says_what_it_refuses(user: User) -> None:
    signed(user, "officer", "paper.pdf", "a.pdf", "B-B")
    raised = user.json("upgrade", "a.pdf", "--level", "B-LT", "-o", "b.pdf")
    assert (raised["before"], raised["level"]) == ("B-B", "B-LT")
    assert level_of(user, "b.pdf") == ["PAdES-B-LT"]
    user.antin("upgrade", "b.pdf", "--level", "B-LTA", "-o", "c.pdf")
    assert level_of(user, "c.pdf") == ["PAdES-B-LTA"]
    (user.folder / "text.pdf").write_text("no PDF")
    present = user.files()
    assert "B-LTA" in user.refused(1, "upgrade", "c.pdf", "--level", "B-T", "-o", "d.pdf")
    assert "signature" in user.refused(1, "upgrade", "paper.pdf", "--level", "B-T", "-o", "d.pdf")
    user.refused(2, "upgrade", "text.pdf", "--level", "B-T", "-o", "d.pdf")
    user.refused(2, "upgrade", "missing.pdf", "--level", "B-T", "-o", "d.pdf")
    user.refused(2, "upgrade", "a.pdf", "--level", "B-T", "-o", "c.pdf")
    user.refused(2, "upgrade", "a.pdf", "--level", "B-T", "-o", "a.pdf", "--force")
    assert user.files() == present


def test_a_level_that_had_to_wait_is_reached_by_the_worker(user: User) -> None:
    # The root's list is lost: nothing proves that the issuing authority is not revoked.
    user.sql("UPDATE crls SET sha256 = NULL WHERE authority = 'root'")
    done = signed(user, "officer", "paper.pdf", "a.pdf", "B-LTA")
    assert (done["level"], done["pending_level"]) == ("B-T", "B-LTA")
    pending = user.json("document", "show", str(done["code"]))["pending_level"]
    assert (pending["level"], pending["reason"]) == ("B-LTA", "REVOCATION_UNAVAILABLE")
    assert "B-LTA" in user.antin("document", "show", str(done["code"]))
    user.antin("ca", "publish")
    user.sql("UPDATE level_requests SET next_at = asked_at")
    with open_installation(user.surroundings()) as installation:
        job = LevelJob(installation)
        assert job.is_due()
        job.run()
        assert not job.is_due()
    shown = user.json("document", "show", str(done["code"]))
    assert (shown["pending_level"], shown["signatures"][0]["level"]) == (None, "B-LTA")
    user.antin("document", "show", str(done["code"]), "-o", "b.pdf")
    assert level_of(user, "b.pdf") == ["PAdES-B-LTA"]


def test_documents_are_stamped_by_the_authorities_of_the_settings_in_their_order(user: User) -> None:
    clock = SystemClock()
    began = clock.now() - timedelta(days=1)
    root = make("Root của người khác", ca=True, not_before=began, not_after=began + timedelta(days=30))
    with serving() as stranger:
        party = make(
            "TSA của người khác", root, key=rsa.generate_private_key(65537, 2048), timestamping=True, not_before=began,
            not_after=began + timedelta(days=9), key_usage=usage(digital_signature=True), more=addresses(stranger.url("/ocsp")),
        )  # fmt: skip
        stranger.handlers |= {"/tsa": stamping(party, clock.now), "/ocsp": answering(party, root, clock.now)}
        (user.home / "others.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
        servers = f'[{{url = "{stranger.url("/tsa")}", anchors = "others.pem"}}, {{url = "own"}}]'
        user.environment |= {"ANTIN_TSA__SERVERS": servers, "ANTIN_VALIDATION__FETCH": "true"}
        # What a certificate names in a private network is not asked: the proof is missing, the signature is there.
        assert signed(user, "officer", "paper.pdf", "a.pdf", "B-LT")["level"] == "B-T"
        assert stranger.asked == ["/tsa"]
        assert "DOCTOR_STAMP_FAILED" not in user.findings()
        user.environment["ANTIN_VALIDATION__FETCH_PRIVATE"] = "true"
        assert signed(user, "officer", "paper.pdf", "b.pdf", "B-LT")["level"] == "B-LT"
        assert level_of(user, "b.pdf") == ["PAdES-B-LT"]
        raised = user.json("upgrade", "a.pdf", "--level", "B-LT", "-o", "c.pdf")
        assert (raised["before"], level_of(user, "c.pdf")) == ("B-T", ["PAdES-B-LT"])
        stranger.asked.clear()
        user.refused(5, "upgrade", "a.pdf", "--level", "B-LT", "-o", "d.pdf", "--offline")
        assert stranger.asked == []
        stranger.handlers["/tsa"] = saying(500, "text/plain", b"")
        assert signed(user, "officer", "paper.pdf", "e.pdf", "B-LTA")["level"] == "B-LTA"
        assert stranger.asked == ["/tsa", "/tsa"]
        assert user.findings()["DOCTOR_STAMP_FAILED"] == "stamps"
    user.environment["ANTIN_TSA__SERVERS"] = servers.replace("others.pem", "missing.pem")
    assert "missing.pem" in user.refused(5, "sign", "paper.pdf", "--as", "officer", "-o", "f.pdf", "--level", "B-T")


def test_several_files_are_raised_and_the_register_goes_on_with_them(user: User) -> None:
    first = signed(user, "officer", "paper.pdf", "a.pdf", "B-B")
    second = signed(user, "officer", "paper.pdf", "b.pdf", "B-T")
    (user.folder / "text.pdf").write_text("no PDF")
    done = user.json("upgrade", "a.pdf", "text.pdf", "b.pdf", "--level", "B-LTA", "-o", "raised", code=2)
    assert [each.get("error", each.get("level")) for each in done] == ["B-LTA", "INPUT_NOT_PDF", "B-LTA"]
    for each, name in ((first, "a.pdf"), (second, "b.pdf")):
        shown = user.json("document", "show", str(each["code"]))
        assert (shown["signatures"][0]["level"], shown["sha256"]) == ("B-LTA", sha256_of(user, f"raised/{name}"))


def sha256_of(user: User, name: str) -> str:
    return hashlib.sha256((user.folder / name).read_bytes()).hexdigest()


def test_certification_and_locks_from_the_command_line(user: User) -> None:
    user.antin("sign", "paper.pdf", "--as", "officer", "-o", "a.pdf", "--certify", "2")
    assert b"/DocMDP" in (user.folder / "a.pdf").read_bytes()
    user.antin("sign", "a.pdf", "--as", "seal", "-o", "b.pdf", "--lock", "all")
    assert b"/FieldMDP" in (user.folder / "b.pdf").read_bytes()
    assert user.json("verify", "b.pdf")["conclusion"] == "valid"
    present = user.files()
    user.refused(2, "sign", "paper.pdf", "--as", "officer", "-o", "c.pdf", "--certify", "4")
    user.refused(2, "sign", "paper.pdf", "--as", "officer", "-o", "c.pdf", "--lock", "all-but")
    user.refused(1, "sign", "paper.pdf", "--as", "officer", "-o", "c.pdf", "--certify", "1")
    user.refused(1, "sign", "b.pdf", "--as", "officer", "-o", "c.pdf", "--certify", "2")
    assert user.files() == present
