"""Made-up octets in every place that strangers fill: always an answer, and never "valid" for what was changed.

A short walk runs with all tests; `make fuzz` walks for hours (ANTIN_FUZZ_EXAMPLES). What it finds becomes a test with a name of its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pytest
from asn1crypto import cms, ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pki import ocsp_request
from pki.tsa import request as tsa_request
from pki.tsa.request import RequestRefused, build_request
from signer.validation.door import gather
from signer.validation.errors import InputsUnreadable
from signer.validation.facts import FileFacts, TrustAnchor, ValidationInputs
from signer.validation.policy import JudgedFile
from tests.attacks import documents, updates
from tests.attacks.generator import contents, ranges, replace_contents
from tests.attacks.pki import NOW, Pki

Judging = Callable[..., JudgedFile]
Edit = tuple[float, int, bytes]

EXAMPLES = int(os.environ.get("ANTIN_FUZZ_EXAMPLES", "40"))
walked = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="ANTIN_FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

# The words that PDF is made of, so that made-up places are not all nonsense.
WORDS = st.sampled_from(
    [b"obj", b"endobj", b"stream", b"endstream", b"xref", b"trailer", b"startxref", b"%%EOF", b"<<", b">>", b"[", b"]", b"null", b"0", b"-1",
     b"99999999999", b"/ByteRange", b"/Contents", b"/V", b"/AP", b"/Kids", b"/Prev", b"/Size", b"/Root", b"/Annots", b"1 0 R", b"7 0 R", b"(",
     b")", b"%", b"/#00", b"\x00", b"\xff\xfe", b"<", b">", b" ", b"\n"]
)  # fmt: skip
PIECES = st.lists(WORDS | st.binary(max_size=6), max_size=6).map(b" ".join)
# Where, as a part of the whole; how many octets go; what comes instead.
EDITS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 40), PIECES), min_size=1, max_size=4)
VALUES = st.recursive(
    st.sampled_from([b"null", b"true", b"0", b"-7", b"1.5", b"(x)", b"<00>", b"/Sig", b"/Page", b"6 0 R", b"7 0 R", b"8 0 R", b"12 0 R", b"18 0 R"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: b"[" + b" ".join(items) + b"]")
        | st.dictionaries(
            st.sampled_from([b"/Type", b"/V", b"/AP", b"/N", b"/Kids", b"/T", b"/FT", b"/Fields", b"/DSS", b"/Annots", b"/Contents", b"/Rect", b"/P"]),
            inner,
            max_size=5,
        ).map(lambda entries: b"<< " + b" ".join(b"%s %s" % each for each in entries.items()) + b" >>")
    ),
    max_leaves=8,
)  # fmt: skip


def _ocsp_request() -> bytes:
    identifier = ocsp.CertId(
        {
            "hash_algorithm": {"algorithm": "sha1"},
            "issuer_name_hash": bytes(20),
            "issuer_key_hash": bytes(20),
            "serial_number": 4711,
        }
    )
    asked: bytes = ocsp.OCSPRequest({"tbs_request": {"request_list": [{"req_cert": identifier}]}}).dump()
    return asked


OCSP = _ocsp_request()


def edited(data: bytes, edits: list[Edit]) -> bytes:
    for place, gone, come in edits:
        at = int(place * len(data))
        data = data[:at] + come + data[at + gone :]
    return data


@pytest.fixture(scope="module")
def signed(pki: Pki) -> bytes:
    return documents.sign(documents.page_pdf(), pki.officer)


@pytest.fixture(scope="module")
def stamped(pki: Pki, signed: bytes) -> bytes:
    return documents.timestamped(documents.with_validation_data(documents.filled(signed), pki.root), pki.tsa)


@walked
@given(edits=EDITS)
def test_an_edited_file_gets_an_answer_and_is_not_valid(signed: bytes, judging: Judging, edits: list[Edit]) -> None:
    pdf = edited(signed, edits)
    judged = judging(pdf)
    _, length, resume, rest = ranges(signed)
    if judged.conclusion == "valid":
        same = pdf[:length] == signed[:length] and pdf[resume : resume + rest] == signed[resume:]
        assert same
        assert not pdf[resume + rest :].strip()


@walked
@given(edits=EDITS)
def test_an_edited_extended_file_gets_an_answer(stamped: bytes, judging: Judging, edits: list[Edit]) -> None:
    judged = judging(edited(stamped, edits))
    assert judged.conclusion in ("valid", "invalid", "indeterminate", "unsigned", "unreadable")


@walked
@given(objects=st.dictionaries(st.integers(1, 30), VALUES, min_size=1, max_size=4))
def test_a_clean_update_of_anything_gets_an_answer_that_says_so(
    signed: bytes, judging: Judging, objects: dict[int, bytes]
) -> None:
    judged = judging(updates.appended(signed, objects))
    assert {each.facts.changes_after for each in judged.signatures} <= {"permitted", "forbidden", "unknown"}
    touched = set(objects) & {7, 8, 10, 11, 18, 19}
    # A page, its content, the page tree, the catalogue and the signature are nothing that an update may fill in.
    assert not (judged.conclusion == "valid" and touched & {7, 10, 11, 18})


@walked
@given(edits=EDITS)
def test_an_edited_cms_gets_an_answer(signed: bytes, pki: Pki, judging: Judging, edits: list[Edit]) -> None:
    message = contents(signed).dump()
    changed = edited(message, edits)[: (ranges(signed)[2] - ranges(signed)[1]) // 2 - 1]
    judged = judging(replace_contents(signed, changed))
    assert judged.conclusion != "valid" or _same_signer_and_value(changed, message)


def _same_signer_and_value(changed: bytes, message: bytes) -> bool:
    """What is behind the CMS, or among what it brings along, may differ; signer and value may not."""
    info = contents_of(changed)
    return bool(info == contents_of(message))


def contents_of(message: bytes) -> tuple[bytes, bytes]:
    signer = cms.ContentInfo.load(message)["content"]["signer_infos"][0]
    return signer["signature"].native, signer["signed_attrs"].untag().dump()


@walked
@given(edits=EDITS)
def test_an_edited_revocation_list_says_nothing_or_cannot_be_read(signed: bytes, pki: Pki, edits: list[Edit]) -> None:
    root, issuing = pki.crls()
    inputs = ValidationInputs(
        at=NOW, anchors=(TrustAnchor(pki.root.der, "internal"),), crls=(root, edited(issuing, edits))
    )
    try:
        facts = gather(signed, inputs)
    except InputsUnreadable:
        return
    assert FileFacts.from_json(facts.to_json()) == facts
    (signature,) = facts.signatures
    assert signature.path is not None
    if edited(issuing, edits)[: len(issuing)] != issuing:
        assert signature.path.certificates[0].crls == ()


@walked
@given(
    data=st.binary(max_size=200)
    | EDITS.map(lambda edits: edited(build_request("sha256", b"\x5a" * 32, nonce=7), edits))
)
def test_a_request_for_a_time_stamp_is_understood_or_refused(data: bytes) -> None:
    with contextlib.suppress(RequestRefused):  # whatever else is raised is the find
        assert tsa_request.parse_request(data) is not None


@walked
@given(data=st.binary(max_size=200) | EDITS.map(lambda edits: edited(OCSP, edits)))
def test_a_request_for_a_status_is_understood_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert ocsp_request.parse_request(data) is not None
