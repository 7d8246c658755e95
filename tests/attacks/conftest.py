"""One PKI for all attack tests of a run, and a short way from bytes to a judged file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from signer.validation.bare import judge_bare
from signer.validation.content import content_of, with_digests
from signer.validation.door import gather
from signer.validation.facts import FileFacts, TrustAnchor, ValidationInputs
from signer.validation.policy import JudgedFile, OwnStatus, judge_file, load_policy
from signer.validation.verdict import Verdict
from signer.verification import verify_file
from tests.attacks.attack import Attack
from tests.attacks.families import all_attacks
from tests.attacks.pki import NOW, Party, Pki, build_pki, make
from tests.attacks.scoreboard import judged

Judging = Callable[..., JudgedFile]


@pytest.fixture(scope="session")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="session")
def rsa_officer(pki: Pki) -> Party:
    return make("Người ký RSA", pki.issuing, key=rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="session")
def attacks(pki: Pki) -> list[Attack]:
    return all_attacks(pki)


@pytest.fixture(scope="session")
def judging(pki: Pki) -> Judging:
    """Judge bytes with the test root as an internal anchor and fresh revocation lists, unless told otherwise."""
    policy = load_policy()

    def judged_now(
        pdf: bytes,
        *,
        anchors: Iterable[Party] | None = None,
        crls: Iterable[bytes] | None = None,
        at: datetime = NOW,
        own_status: OwnStatus = lambda _: None,
        content: bytes | None = None,
    ) -> JudgedFile:
        inputs = ValidationInputs(
            at=at,
            anchors=tuple(TrustAnchor(party.der, "internal") for party in ([pki.root] if anchors is None else anchors)),
            crls=tuple(pki.crls() if crls is None else crls),
            content=None if content is None else content_of(content),
        )
        facts = gather(pdf, inputs)
        if facts.wanted_digests and inputs.content is not None and content is not None:
            inputs = replace(inputs, content=with_digests(inputs.content, content, facts.wanted_digests))
            facts = gather(pdf, inputs)
        judge = judge_file if facts.bare is None else judge_bare
        return judge(FileFacts.from_json(facts.to_json()), own_status, at, policy)

    return judged_now


@pytest.fixture(scope="session")
def verdicts(attacks: list[Attack], pki: Pki) -> dict[str, tuple[Verdict, float]]:
    """Every attack, judged once by the process that judges for users; with the seconds of wall time that it took."""
    found = {}
    with judged(pki) as verifier:
        for attack in attacks:
            begun = time.monotonic()
            found[attack.name] = verify_file(attack.pdf, attack.name, verifier), time.monotonic() - begun
    return found
