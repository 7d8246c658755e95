"""The judging desk: what it remembers never changes an answer."""

from __future__ import annotations

from signer.recall import recall_document
from tests.signing_world import CLERK, SigningWorld, plain_paper


def test_a_recall_and_a_revocation_are_seen_though_the_same_file_was_judged_a_moment_ago(signing: SigningWorld) -> None:
    signed = signing.sign(plain_paper(), placement="none")
    assert [signing.verdict(signed.content).reason for _ in range(2)] == ["VALID", "VALID"]
    recall_document(signed.code, "Ban hành nhầm", CLERK, signing.world.database, signing.world.clock)
    assert signing.verdict(signed.content).reason == "DOC_RECALLED"
    signing.world.revoke(signing.deps.desk.usable("officer").serial)
    verdict = signing.verdict(signed.content)
    assert [each.revocation for each in verdict.judged.signatures] == ["revoked"]
    assert verdict.conclusion == "indeterminate"


def test_a_certificate_issued_after_a_file_was_judged_is_known_at_the_next(signing: SigningWorld) -> None:
    first = signing.sign(plain_paper("one"), placement="none")
    assert signing.verdict(first.content).conclusion == "valid"
    signing.enrol("deputy", "officer")
    second = signing.sign(plain_paper("two"), "deputy", placement="none")
    assert [each.revocation for each in signing.verdict(second.content).judged.signatures] == ["good"]
