"""signer/signing.py: the cycle, its order, and what stays behind when a step fails or the process dies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from certs.clock import for_people
from hsm.errors import KeyDestroyed, KeyNotFound, TokenMissing
from hsm.spec import KeyRef, KeySpec, PrivateKey, Purpose, TokenStatus
from hsm.store import KeyStore
from signer.documents import open_intents
from signer.errors import InputUnreadable, OwnOutputBroken, Refused, SignerError, Unavailable, UsageWrong
from signer.numbering import open_reservations
from signer.plan import Plan, Prepared
from signer.recall import recall_document
from signer.sandbox import Judge
from signer.storage import BlobStore
from tests.fakes.clock import START
from tests.signing_world import CLERK, Pictures, SigningWorld, build_signing_world, plain_paper

PAPER = plain_paper("A paper of the agency")
TOMORROW = START + timedelta(days=1)


class Died(BaseException):
    """The process ends here; nobody catches it."""


class KeysWith:
    """A key store in front of another whose `get` is the test's own."""

    def __init__(self, store: KeyStore, get: Callable[[bytes], PrivateKey]) -> None:
        self.store = store
        self.get = get

    def generate(self, spec: KeySpec, label: str, purpose: Purpose) -> KeyRef:
        return self.store.generate(spec, label, purpose)

    def list_keys(self) -> list[KeyRef]:
        return self.store.list_keys()

    def check_protected(self, public_key_der: bytes) -> None:
        self.store.check_protected(public_key_der)

    def destroy(self, public_key_der: bytes) -> None:
        self.store.destroy(public_key_der)

    def status(self) -> TokenStatus:
        return self.store.status()

    def close(self) -> None:
        self.store.close()


def raising(error: BaseException) -> Callable[[bytes], PrivateKey]:
    def get(_public_key_der: bytes) -> PrivateKey:
        raise error

    return get


def code_of(act: Callable[[], object], kind: type[SignerError] = Refused) -> str:
    with pytest.raises(kind) as caught:
        act()
    return caught.value.code


def state_of(signing: SigningWorld) -> dict[str, list]:
    """Acts, numbers and documents, as the register has them."""
    return {
        "acts": signing.rows("SELECT state, failure FROM signing_acts ORDER BY id"),
        "numbers": signing.rows("SELECT number, state, reason FROM numbers ORDER BY id"),
        "blobs": sorted(path.name for path in signing.deps.blobs.path_of("00").parents[1].rglob("*") if path.is_file()),
    }


NOTHING = {"acts": [], "numbers": [], "blobs": []}


def test_officer_and_seal_leave_one_document_with_one_code_one_number_and_all_audit_rows(signing: SigningWorld) -> None:
    before = len(signing.actions())
    approved = signing.sign(PAPER)
    issued = signing.sign(approved.content, "seal")
    assert approved.content.startswith(PAPER)
    assert issued.content.startswith(approved.content)
    assert issued.code == approved.code
    assert (approved.number, issued.number) == (None, 1)
    assert (approved.intent, issued.intent) == ("approve", "issue")
    assert signing.actions()[before:] == [
        "document.sign.intent",
        "document.sign",
        "number.reserve",
        "document.sign.intent",
        "document.sign",
    ]
    assert state_of(signing) == {
        "acts": [("done", None), ("done", None)],
        "numbers": [(1, "used", None)],
        "blobs": sorted([approved.sha256, issued.sha256]),
    }
    document = signing.document(issued.code)
    assert (document.number, document.number_year, document.issued_at) == (1, 2026, START)
    verdict = signing.verdict(issued.content)
    assert (verdict.conclusion, verdict.document and verdict.document.code) == ("valid", issued.code)


def test_the_intent_row_says_what_is_about_to_be_signed(signing: SigningWorld) -> None:
    signed = signing.sign(PAPER)
    ((digest, algorithm, serial, actor, field),) = signing.rows(
        "SELECT digest, digest_algorithm, certificate_serial, actor, field FROM signing_acts"
    )
    assert (algorithm, actor, field) == ("sha256", CLERK.name, signed.field)
    assert serial == signing.deps.desk.usable("officer").serial
    ((details,),) = signing.rows("SELECT details FROM audit WHERE action = 'document.sign.intent'")
    assert digest in str(details)
    assert bytes.fromhex(digest) in bytes.fromhex(_contents(signed.content))


def _contents(pdf: bytes) -> str:
    start = pdf.rindex(b"/Contents <") + len("/Contents <")
    return pdf[start : pdf.index(b">", start)].decode("ascii")


def test_the_time_in_the_file_is_the_time_in_the_register(signing: SigningWorld) -> None:
    signing.world.clock.advance(microseconds=987_654)
    signed = signing.sign(PAPER)
    assert signing.document(signed.code).acts[0].claimed_time == START
    assert signing.verdict(signed.content).judged.signatures[0].facts.claimed_time == START


def test_the_seal_is_refused_before_the_officer_and_nothing_is_left_of_it(signing: SigningWorld) -> None:
    assert code_of(lambda: signing.sign(PAPER, "seal")) == "ISSUE_WITHOUT_OFFICER"
    assert state_of(signing) == NOTHING


def test_the_seal_is_refused_where_only_a_stranger_has_signed(
    signing: SigningWorld, judge: Judge, pictures: Pictures, tmp_path: Path
) -> None:
    """A perfect signature is not enough: it must be an officer's whose certificate is ours."""
    (tmp_path / "elsewhere").mkdir()
    other = build_signing_world(tmp_path / "elsewhere", judge, pictures, apart=True)
    other.enrol("officer", "officer")
    foreign = other.sign(PAPER).content
    other.world.close()
    assert code_of(lambda: signing.sign(foreign, "seal")) == "ISSUE_WITHOUT_OFFICER"
    # With an officer of ours beside it, the stranger's signature is in nobody's way.
    issued = signing.sign(signing.sign(foreign).content, "seal")
    judged = signing.verdict(issued.content).to_json()["signatures"]
    assert [each["conclusion"] for each in judged] == ["indeterminate", "valid", "valid"]
    assert {each["integrity"] for each in judged} == {"intact"}


def test_two_seals_may_stand_on_one_document_but_none_twice(signing: SigningWorld) -> None:
    signing.enrol("other-seal", "agency-seal")
    sealed = signing.sign(signing.sign(PAPER).content, "seal")
    both = signing.sign(sealed.content, "other-seal")
    assert signing.verdict(both.content).conclusion == "valid"
    assert code_of(lambda: signing.sign(both.content, "seal")) == "ALREADY_ISSUED"


def test_an_officer_whose_certificate_is_revoked_by_now_opens_no_way_to_the_seal(signing: SigningWorld) -> None:
    """Nothing proves that he signed before: the file is not valid, so the seal does not go on it."""
    approved = signing.sign(PAPER)
    signing.world.revoke(signing.deps.desk.usable("officer").serial)
    assert code_of(lambda: signing.sign(approved.content, "seal")) == "ISSUE_WITHOUT_OFFICER"


def test_a_document_is_issued_once_from_whichever_of_its_files(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER)
    issued = signing.sign(approved.content, "seal")
    assert (approved.issued, issued.issued) == (False, True)
    for file, credential in ((issued, "seal"), (approved, "seal"), (approved, "officer")):
        with pytest.raises(Refused) as refused:
            signing.sign(file.content, credential)
        assert (refused.value.code, refused.value.facts) == ("ALREADY_ISSUED", {"code": issued.code, "number": "01"})
    assert state_of(signing)["numbers"] == [(1, "used", None)]
    assert len(signing.document(issued.code).acts) == 2


def test_a_seal_that_the_register_does_not_know_is_not_set_twice_either(
    signing: SigningWorld,
) -> None:
    """The register of another home, or one that was restored from before: the file itself says that it is sealed."""
    issued = signing.sign(signing.sign(PAPER).content, "seal")
    with signing.world.database.write() as session:
        session.connection().exec_driver_sql("UPDATE signing_acts SET state = 'failed'")
    assert code_of(lambda: signing.sign(issued.content, "seal")) == "ALREADY_SEALED"


def test_of_two_clerks_who_seal_at_one_moment_one_wins(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER).content
    deps = dataclasses.replace(signing.deps, blobs=_Meanwhile(signing, lambda: signing.sign(approved, "seal")))
    late = dataclasses.replace(signing, deps=deps)
    assert code_of(lambda: late.sign(approved, "seal")) == "ALREADY_ISSUED"
    state = state_of(signing)
    assert state["acts"] == [("done", None), ("failed", "ALREADY_ISSUED"), ("done", None)]
    assert state["numbers"] == [(1, "void", "ALREADY_ISSUED"), (2, "used", None)]


def test_a_document_out_of_force_takes_no_more_signatures(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER)
    recall(signing, approved.code)
    for credential in ("seal", "officer"):
        with pytest.raises(Refused) as refused:
            signing.sign(approved.content, credential)
        assert refused.value.code == "DOCUMENT_NOT_IN_FORCE"
        assert refused.value.facts == {"code": approved.code, "status": "recalled", "when": for_people(START)}
    state = state_of(signing)
    assert (len(state["acts"]), state["numbers"]) == (1, [])


@pytest.mark.parametrize("credential", ["officer", "seal"])
def test_a_recall_that_overtakes_a_signature_wins(signing: SigningWorld, credential: str) -> None:
    approved = signing.sign(PAPER)
    deps = dataclasses.replace(signing.deps, blobs=_Meanwhile(signing, lambda: recall(signing, approved.code)))
    late = dataclasses.replace(signing, deps=deps)
    assert code_of(lambda: late.sign(approved.content, credential)) == "DOCUMENT_NOT_IN_FORCE"
    document = signing.document(approved.code)
    assert (document.status, document.issued, document.sha256) == ("recalled", False, approved.sha256)
    assert [(act.state, act.failure) for act in document.acts] == [("done", None), ("failed", "DOCUMENT_NOT_IN_FORCE")]


class _Meanwhile(BlobStore):
    """A store that takes its time: something else happens between the signature and the commit of its result."""

    def __init__(self, signing: SigningWorld, happens: Callable[[], object]) -> None:
        super().__init__(signing.deps.blobs.path_of("00").parents[1])
        self._happens = happens

    def put(self, content: bytes) -> str:
        sha256 = super().put(content)
        self._happens()
        return sha256


def recall(signing: SigningWorld, code: str) -> None:
    recall_document(code, "Sai thẩm quyền", CLERK, signing.world.database, signing.world.clock)


def test_an_altered_input_is_refused_whoever_signs(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER).content
    at = approved.index(b"/MediaBox")
    altered = approved[:at] + approved[at:].replace(b"595", b"594", 1)
    for credential in ("officer", "seal"):
        assert code_of(lambda: signing.sign(altered, credential)) == "INPUT_SIGNATURE_BROKEN"  # noqa: B023
    assert len(state_of(signing)["acts"]) == 1


@pytest.mark.parametrize(
    ("wishes", "kind", "code"),
    [
        ({"credential": "nobody"}, UsageWrong, "CREDENTIAL_UNKNOWN"),
        ({"intent": "issue"}, Refused, "INTENT_NOT_ALLOWED"),
        ({"level": "B-LTA"}, Refused, "LEVEL_UNAVAILABLE"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    signing: SigningWorld, wishes: dict[str, str], kind: type[SignerError], code: str
) -> None:
    assert code_of(lambda: signing.sign(PAPER, **wishes), kind) == code
    assert state_of(signing) == NOTHING


def test_an_empty_and_a_too_large_input_are_named(signing: SigningWorld) -> None:
    assert code_of(lambda: signing.sign(b""), InputUnreadable) == "INPUT_EMPTY"
    small = dataclasses.replace(signing, deps=dataclasses.replace(signing.deps, max_bytes=len(PAPER) - 1))
    assert code_of(lambda: small.sign(PAPER), InputUnreadable) == "INPUT_TOO_LARGE"
    assert state_of(signing) == NOTHING


def test_a_file_that_cannot_be_prepared_leaves_no_act_and_a_void_number_with_its_reason(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER).content
    with pytest.raises(Refused):
        signing.sign(approved, "seal", field="Signature1")
    assert state_of(signing)["numbers"] == [(1, "void", "FIELD_EXISTS")]
    assert len(state_of(signing)["acts"]) == 1
    assert signing.actions()[-1] == "number.void"
    assert signing.sign(approved, "seal").number == 2


def test_a_token_that_fails_leaves_a_failed_act_and_a_void_number(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER).content
    broken = signing.with_keys(KeysWith(signing.world.keys, raising(TokenMissing("unplugged", token="antin"))))
    with pytest.raises(TokenMissing):
        broken.sign(approved, "seal")
    state = state_of(signing)
    assert state["acts"][1:] == [("failed", TokenMissing.code)]
    assert state["numbers"] == [(1, "void", TokenMissing.code)]
    assert len(state["blobs"]) == 1
    assert signing.actions()[-2:] == ["document.sign.fail", "number.void"]
    # The same document goes on, under its code, with the next number.
    issued = signing.sign(approved, "seal")
    assert (issued.number, [act.state for act in signing.document(issued.code).acts]) == (2, ["done", "failed", "done"])


def test_a_key_that_is_gone_is_said_and_leaves_a_failed_act(signing: SigningWorld) -> None:
    signing.world.keys.destroy(signing.deps.desk.usable("officer").public_key_der)
    with pytest.raises(KeyNotFound):
        signing.sign(PAPER)
    assert state_of(signing)["acts"] == [("failed", KeyDestroyed.code)]


def test_a_wrong_signature_is_caught_by_our_own_check_and_nothing_is_stored(signing: SigningWorld) -> None:
    other = signing.world.keys.generate(KeySpec.P_256, "another", Purpose.DOCUMENT).public_key_der
    wrong = signing.with_keys(KeysWith(signing.world.keys, lambda _: signing.world.keys.get(other)))
    assert code_of(lambda: wrong.sign(PAPER), OwnOutputBroken) == "SELF_CHECK_FAILED"
    assert state_of(signing) == {"acts": [("failed", "SELF_CHECK_FAILED")], "numbers": [], "blobs": []}


def test_a_preparing_process_that_lies_gets_no_signature(signing: SigningWorld) -> None:
    class Liar:
        """Answers with a hole that is somewhere else."""

        def prepare(self, pdf: bytes, plan: Plan) -> Prepared:
            answer = signing.judging.prepare(pdf, plan)
            return dataclasses.replace(answer, hole=(answer.hole[0] - 40, answer.hole[1] - 40))

    lied_to = dataclasses.replace(signing, deps=dataclasses.replace(signing.deps, preparer=Liar()))
    assert code_of(lambda: lied_to.sign(PAPER), OwnOutputBroken) == "PREPARED_FILE_WRONG"
    assert state_of(signing) == NOTHING


def test_a_store_that_is_full_leaves_a_failed_act(signing: SigningWorld, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    full = dataclasses.replace(signing, deps=dataclasses.replace(signing.deps, blobs=BlobStore(tmp_path / "file")))
    with pytest.raises(Unavailable):
        full.sign(PAPER)
    assert state_of(signing)["acts"] == [("failed", "WRITE_FAILED")]


def test_a_death_between_intent_and_result_leaves_an_open_intent_and_an_open_number(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER).content
    dying = signing.with_keys(KeysWith(signing.world.keys, raising(Died())))
    with pytest.raises(Died):
        dying.sign(approved, "seal")
    state = state_of(signing)
    assert state["acts"][1:] == [("intent", None)]
    assert state["numbers"] == [(1, "reserved", None)]
    with signing.world.database.read() as session:
        (act,) = open_intents(session, TOMORROW)
        assert (act.credential, act.intent) == ("seal", "issue")
        assert [str(one) for one in open_reservations(session, TOMORROW)] == ["2026/01"]
        assert open_intents(session, START) == []  # one that began just now may still be going on
    # The number of the dead is not given to the living.
    assert signing.sign(approved, "seal").number == 2


def test_a_second_agencys_seal_leaves_number_and_day_as_they_are(signing: SigningWorld) -> None:
    signing.enrol("other-seal", "agency-seal")
    first = signing.sign(signing.sign(PAPER).content, "seal")
    second = signing.sign(first.content, "other-seal")
    assert (first.number, first.code) == (second.number, second.code)
    assert state_of(signing)["numbers"] == [(1, "used", None)]


def test_the_number_that_the_officers_metadata_named_is_the_one_the_seal_gives(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER, metadata={"CodeNumber": "7"}).content
    assert signing.sign(approved, "seal").number == 7


def test_a_signature_whose_byte_range_is_spelled_with_an_escape_is_not_overlooked(signing: SigningWorld) -> None:
    """`/Byte#52ange` is the same name to every reader (ISO 32000-2 7.3.5), and hides from a search for the plain word."""
    approved = signing.sign(PAPER).content
    at = approved.index(b"/ByteRange")
    spaces = approved.index(b"]", at)
    hidden = approved[:at] + b"/Byte#52ange" + approved[at + 10 : spaces + 1] + approved[spaces + 3 :]
    assert b"/ByteRange" not in hidden
    with pytest.raises(InputUnreadable) as refused:
        signing.sign(hidden)
    assert refused.value.code == "INPUT_SIGNATURES_UNREADABLE"


def test_somebody_who_gives_up_at_the_keyboard_leaves_nothing_open(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER).content
    stopped = signing.with_keys(KeysWith(signing.world.keys, raising(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        stopped.sign(approved, "seal")
    state = state_of(signing)
    assert state["acts"][1:] == [("failed", "KeyboardInterrupt")]
    assert state["numbers"] == [(1, "void", "KeyboardInterrupt")]


def test_a_credential_revoked_while_the_file_was_prepared_does_not_sign(signing: SigningWorld) -> None:
    serial = signing.deps.desk.usable("officer").serial

    class Slow:
        """Takes so long that the revocation comes first."""

        def prepare(self, pdf: bytes, plan: Plan) -> Prepared:
            signing.world.revoke(serial)
            return signing.judging.prepare(pdf, plan)

    slow = dataclasses.replace(signing, deps=dataclasses.replace(signing.deps, preparer=Slow()))
    assert code_of(lambda: slow.sign(PAPER)) == "CREDENTIAL_REVOKED"
    assert state_of(signing) == NOTHING


def test_a_failed_commit_of_the_result_leaves_the_intent_behind(signing: SigningWorld) -> None:
    """The database goes away after the key was used: nothing claims that the signature does not exist."""

    class Unplugging(BlobStore):
        """Stores the blob, then takes the database away."""

        def put(self, content: bytes) -> str:
            sha256 = super().put(content)
            with signing.world.database.write() as session:
                session.connection().exec_driver_sql("ALTER TABLE audit RENAME TO audit_gone")
            return sha256

    folder = signing.deps.blobs.path_of("00").parents[1]
    failing = dataclasses.replace(signing, deps=dataclasses.replace(signing.deps, blobs=Unplugging(folder)))
    with pytest.raises(Exception, match="no-schema"):
        failing.sign(PAPER)
    assert state_of(signing)["acts"] == [("intent", None)]


def test_metadata_of_both_signatures_meet_in_the_document(signing: SigningWorld) -> None:
    approved = signing.sign(PAPER, metadata={"Subject": "Về việc thử", "CodeNotation": "STN"})
    issued = signing.sign(approved.content, "seal", metadata={"CodeNumber": "12", "Subject": "Về việc khác"})
    document = signing.document(issued.code)
    assert issued.number == document.number == 12
    assert document.details == {"Subject": "Về việc khác", "CodeNotation": "STN", "CodeNumber": "12"}


@pytest.mark.parametrize("spec", [KeySpec.P_384, KeySpec.RSA_2048, KeySpec.RSA_3072])
def test_other_kinds_of_key_sign_too(bare: SigningWorld, spec: KeySpec) -> None:
    bare.enrol("officer", "officer", spec=spec)
    signed = bare.sign(PAPER, placement="none")
    assert bare.verdict(signed.content).conclusion == "valid"


def test_a_credential_without_a_picture_is_drawn_as_text(bare: SigningWorld) -> None:
    bare.enrol("officer", "officer", picture=False)
    signed = bare.sign(PAPER)
    assert signed.placed is not None
    assert bare.verdict(signed.content).conclusion == "valid"


def test_the_same_paper_signed_twice_is_two_documents(signing: SigningWorld) -> None:
    assert signing.sign(PAPER).code != signing.sign(PAPER).code
