"""The second opinion is asked where it is needed, remembered where it was given, and missed nowhere without a refusal."""

from __future__ import annotations

import dataclasses
import gc
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from certs.errors import LintFailed, LintUnavailable
from certs.lint.second_opinion import Limits, SecondOpinion
from certs.lint.shapes import PassedShapes, shape_of
from certs.lint.twin import Twin
from certs.profile import LintException
from tests.unit.certs.test_lint import (
    CA_KEY,
    CA_NAME,
    CATALOGUE,
    ISSUER,
    SERIAL,
    START,
    build_name,
    naive,
    rebuilt,
    signed,
)

NEVER_SAMPLED = 1 << 161
OFFICER = CATALOGUE.get("officer")
# Programs in the place of pkilint: each says that it is ready and then behaves badly.
READY = "import sys, time, os; print('{\"ready\": true}', flush=True); line = sys.stdin.readline(); "


@pytest.fixture(scope="module")
def opinion():
    asked = SecondOpinion(sampled=NEVER_SAMPLED)
    yield asked
    asked.close()


def twin_of(profile="agency-seal", **change) -> Twin:
    return Twin(signed(rebuilt(**change)), CATALOGUE.get(profile), ISSUER)


def broken_twin(**profile_values) -> Twin:
    """What our rules let pass in this test, and RFC 5280 does not: an authority key identifier that is critical."""
    key_identifier = ISSUER.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    aki = x509.AuthorityKeyIdentifier(key_identifier, None, None)
    change = {"drop": x509.AuthorityKeyIdentifier, "add": [(aki, True)]}
    profile = dataclasses.replace(CATALOGUE.get("agency-seal"), **profile_values)
    return Twin(signed(rebuilt(**change)), profile, ISSUER)


def warned_twin(**profile_values) -> Twin:
    """What RFC 5280 says SHOULD be otherwise: no subject key identifier in a leaf."""
    profile = dataclasses.replace(CATALOGUE.get("agency-seal"), **profile_values)
    return Twin(signed(rebuilt(drop=x509.SubjectKeyIdentifier)), profile, ISSUER)


def bad_child(program: str, **limits) -> SecondOpinion:
    return SecondOpinion(limits=Limits(**limits), child=("-c", READY + program))


def test_a_good_certificate_passes_with_what_etsi_would_object_to(opinion):
    assert opinion.check_certificate(twin_of()) == (
        "etsi.en_319_412_3.leg-4.2.1-2.organization_identifier_attribute_absent",
        "etsi.en_319_412_2.certificate_policies_extension_absent",
        "etsi.internal_domain_name",
    )


def test_an_error_by_rfc_5280_stops_the_issuance_and_is_named(opinion):
    with pytest.raises(LintFailed) as refused:
        opinion.check_certificate(broken_twin())
    assert "authority_key_identifier" in refused.value.facts["rules"]


def test_a_warning_stops_it_too_unless_the_profile_excepts_it_with_a_reason(opinion):
    with pytest.raises(LintFailed) as refused:
        opinion.check_certificate(warned_twin())
    code = refused.value.facts["rules"]
    opinion.check_certificate(warned_twin(lint_exceptions=(LintException(code, "readers of 2010"),)))


def test_an_error_cannot_be_excepted(opinion):
    with pytest.raises(LintFailed) as refused:
        opinion.check_certificate(broken_twin())
    excepted = tuple(LintException(code, "we like it") for code in refused.value.facts["rules"].split(", "))
    with pytest.raises(LintFailed):
        opinion.check_certificate(broken_twin(lint_exceptions=excepted))


def test_octets_that_are_no_certificate_are_a_finding_and_not_a_pass(opinion):
    for kind in ("certificate", "crl", "ocsp"):
        remarks = opinion.ask(kind, b"\x30\x03\x02\x01\x01")
        assert remarks[0].severity == "FATAL"
        assert opinion.ask(kind, b"")[0].code == "pkilint.cannot_decode"


def test_a_shape_that_passed_is_not_asked_about_again(tmp_path):
    with_pkilint = SecondOpinion(PassedShapes(tmp_path / "lint"), sampled=NEVER_SAMPLED)
    reported = with_pkilint.check_certificate(twin_of())
    with_pkilint.close()
    # Another process, whose linter would die: it finds the pass in the folder.
    without = SecondOpinion(PassedShapes(tmp_path / "lint"), sampled=NEVER_SAMPLED, child=("-c", ""))
    assert without.check_certificate(twin_of(serial_number=SERIAL + 2)) == reported
    with pytest.raises(LintUnavailable):
        without.check_certificate(Twin(twin_of().certificate, OFFICER, ISSUER))
    without.close()


def test_a_sample_of_a_passed_shape_is_asked_about(tmp_path):
    shapes = PassedShapes(tmp_path / "lint")
    sampling = SecondOpinion(shapes, sampled=4, child=("-c", ""))
    chosen, left = twin_of(serial_number=SERIAL // 4 * 4), twin_of(serial_number=SERIAL // 4 * 4 + 1)
    shapes.add(shape_of(left, sampling._linter), ["etsi.x"])
    assert sampling.check_certificate(left) == ("etsi.x",)
    with pytest.raises(LintUnavailable):
        sampling.check_certificate(chosen)


def test_a_failure_is_never_remembered_as_a_pass_and_takes_an_earlier_pass_back(tmp_path):
    folder = tmp_path / "lint"
    asked = SecondOpinion(PassedShapes(folder), sampled=1)
    bad = broken_twin()
    PassedShapes(folder).add(shape_of(bad, asked._linter), [])
    for _ in range(2):
        with pytest.raises(LintFailed):
            asked.check_certificate(bad)
        assert list(folder.iterdir()) == []
    asked.close()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"passed": "another", "reported": []}', b"[]"])
def test_a_damaged_note_costs_time_and_nothing_else(tmp_path, content):
    twin = twin_of()
    shape = shape_of(twin, "pkilint 1")
    (tmp_path / shape).write_bytes(content)
    assert PassedShapes(tmp_path).find(shape) is None
    PassedShapes(tmp_path).add(shape, ["etsi.x"])
    assert PassedShapes(tmp_path).find(shape) == ("etsi.x",)


def test_the_folder_may_be_deleted_at_any_time(tmp_path):
    shapes = PassedShapes(tmp_path / "cache" / "lint")
    shapes.add("a", [])
    shutil.rmtree(tmp_path / "cache")
    shapes.add("b", [])
    assert PassedShapes(tmp_path / "cache" / "lint").find("b") == ()


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    shapes = PassedShapes(tmp_path / "file")
    shapes.add("a", ["etsi.x"])
    assert shapes.find("a") == ("etsi.x",)
    assert PassedShapes(tmp_path / "file").find("a") is None


def test_what_a_linter_could_see_makes_another_shape():
    san = x509.SubjectAlternativeName([x509.RFC822Name("a@b.vn")])
    elsewhere = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier("http://other.example/crl")], None, None, None)]
    )
    other_issuer = Twin(twin_of().certificate, twin_of().profile, signed(rebuilt()))
    different = [
        twin_of(),
        twin_of(profile="officer"),
        twin_of(add=[(san, False)]),
        twin_of(add=[(san, True)]),
        twin_of(drop=x509.CRLDistributionPoints),
        twin_of(drop=x509.CRLDistributionPoints, add=[(elsewhere, False)]),
        twin_of(subject_name=build_name(CA_NAME)),
        twin_of(public_key=CA_KEY.public_key(), subject_name=x509.Name([])),
        Twin(signed(rebuilt(), hashes.SHA384()), CATALOGUE.get("agency-seal"), ISSUER),
        Twin(twin_of().certificate, dataclasses.replace(CATALOGUE.get("agency-seal"), validity_days=9), ISSUER),
        other_issuer,
    ]
    shapes = [shape_of(twin, "pkilint 1") for twin in different] + [shape_of(twin_of(), "pkilint 2")]
    # The name of an authority has the same attributes as this seal's: the same shape.
    assert shapes.pop(6) == shapes[0]
    assert len(set(shapes)) == len(shapes)


def test_another_name_serial_or_key_of_the_same_kind_is_the_same_shape():
    shape = shape_of(twin_of(), "pkilint 1")
    assert shape_of(twin_of(serial_number=SERIAL + 9), "pkilint 1") == shape
    assert shape_of(Twin(signed(rebuilt()), CATALOGUE.get("agency-seal"), ISSUER), "pkilint 1") == shape


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("sys.exit(1)", "died"),
        ("os.kill(os.getpid(), 9)", "died"),
        ("print('no json', flush=True); time.sleep(60)", "protocol"),
        ("print('[]', flush=True); time.sleep(60)", "protocol"),
        ('print(\'{"findings": [{"a": 1}]}\', flush=True); time.sleep(60)', "protocol"),
        ('print(\'{"error": "MemoryError"}\', flush=True); time.sleep(60)', "MemoryError"),
        ("time.sleep(60)", "time"),
    ],
)
def test_a_linter_that_gives_no_answer_passes_nothing(program, reason):
    asked = bad_child(program, wall_seconds=1.0)
    started = time.monotonic()
    with pytest.raises(LintUnavailable) as refused:
        asked.check_certificate(twin_of())
    assert refused.value.facts == {"reason": reason}
    assert time.monotonic() - started < 10
    asked.close()


@pytest.mark.parametrize("program", ["print('{}')", "", "import no_such_module", "print('no json')"])
def test_a_linter_that_cannot_start_passes_nothing(program):
    asked = SecondOpinion(child=("-c", program))
    asked.start()
    with pytest.raises(LintUnavailable) as refused:
        asked.check_certificate(twin_of())
    assert refused.value.facts == {"reason": "start"}


def test_a_linter_that_was_killed_between_two_questions_is_replaced(opinion):
    opinion.ask("certificate", twin_of().certificate.public_bytes(Encoding.DER))
    first = opinion._process
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert opinion.ask("certificate", twin_of().certificate.public_bytes(Encoding.DER))
    assert opinion._process.pid != first.pid


def test_a_desk_that_is_forgotten_leaves_no_process_behind():
    asked = SecondOpinion()
    asked.start()
    process = asked._process
    del asked
    gc.collect()
    assert process.poll() is not None


def test_the_linting_process_has_limits_and_inherits_no_environment(opinion):
    opinion.ask("certificate", b"")
    process = Path(f"/proc/{opinion._process.pid}")
    limits = dict(re.findall(r"^Max (\S+ \S+) +(\S+)", (process / "limits").read_text(), re.MULTILINE))
    assert (limits["address space"], limits["file size"], limits["open files"]) == ("1073741824", "0", "32")
    assert "PATH" in os.environ
    assert b"PATH=" not in (process / "environ").read_bytes()


def crl(**change) -> bytes:
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=build_name(CA_NAME), last_update=naive(START), next_update=naive(START).replace(month=12)
    )
    identifier = x509.AuthorityKeyIdentifier(b"x" * 20, None, None)
    if change.get("identifier", True):
        builder = builder.add_extension(identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(1), critical=change.get("critical", False))
    return builder.sign(CA_KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def test_crls_are_judged_too(opinion):
    opinion.check_crl(crl())
    for wrong in ({"critical": True}, {"identifier": False}):
        with pytest.raises(LintFailed):
            opinion.check_crl(crl(**wrong))
