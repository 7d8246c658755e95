"""Programs of other makers accept what a running service gives, and refuse what it revoked; HTTP and command line judge alike."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from hsm.softhsm import find_module
from tests.installation import ANTIN, User
from tests.integration.http_service import Service, running

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("ANTIN_TEST_CORPUS", "../shared/corpus"))
CORPUS = CORPUS if CORPUS.is_absolute() else ROOT / CORPUS


@pytest.fixture(scope="module")
def public(paper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose certificates name the very port it answers at; root, issuing and both lie in its user's folder."""
    if find_module() is None:
        pytest.skip("SoftHSM is not installed (apt-get install softhsm2)")
    folder = tmp_path_factory.mktemp("public")
    (folder / "work").mkdir()
    shutil.copy(paper, folder / "work" / "paper.pdf")
    user = User(folder / "home", folder / "work")
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    user.antin("init", "--demo", "--public-url", f"http://127.0.0.1:{port}")
    with running(user, "--port", str(port)) as service:
        assert service.url == f"http://127.0.0.1:{port}"
        for name in ("root", "issuing"):
            certificate = x509.load_der_x509_certificate(service.http.get(f"/ca/{name}.cer").content)
            (user.folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        both = (user.folder / "issuing.pem").read_bytes() + (user.folder / "root.pem").read_bytes()
        (user.folder / "chain.pem").write_bytes(both)
        yield service


def stranger(service: Service, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A program of somebody else in the user's folder. It reaches 127.0.0.1; anything farther is sent to a closed port."""
    nowhere = "http://127.0.0.1:9"
    surroundings = {
        "PATH": os.environ["PATH"],
        "HOME": str(service.user.folder),
        "LANG": "C.UTF-8",
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "no_proxy": "127.0.0.1",
    }
    return subprocess.run(
        [*words],
        cwd=service.user.folder,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def issue(service: Service, name: str) -> str:
    """A certificate for a key that is nobody's, in NAME.pem; its serial."""
    folder = service.user.folder
    made = stranger(
        service, "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "/dev/null", "-subj", "/CN=x", "-out", "csr.pem",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    subject = f"CN={name},O=Sở Thử nghiệm,C=VN"
    issued = service.user.json("cert", "issue", "--profile", "officer", "--subject", subject, "--csr", "csr.pem")
    (folder / f"{name}.pem").write_text(service.user.antin("cert", "show", issued["serial"], "--pem"))
    return str(issued["serial"])


def certificate_in(service: Service, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((service.user.folder / f"{name}.pem").read_bytes())


def responder_in(certificate: x509.Certificate) -> str:
    """Where the certificate itself says that its state is told (RFC 5280 4.2.2.1)."""
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    (url,) = [
        each.access_location.value
        for each in access
        if each.access_method == x509.oid.AuthorityInformationAccessOID.OCSP
    ]
    return str(url)


@pytest.mark.parametrize("algorithm", list(HashAlgorithm))
def test_rfc3161_client_accepts_a_token_and_only_for_its_data_nonce_and_root(
    public: Service, algorithm: HashAlgorithm
) -> None:
    data = "Công văn số 1".encode()
    query = TimestampRequestBuilder().data(data).hash_algorithm(algorithm).nonce(nonce=True).build()
    answer = public.http.post("/tsa", content=query.as_bytes(), headers={"Content-Type": "application/timestamp-query"})
    response = decode_timestamp_response(answer.content)
    root, issuing = certificate_in(public, "root"), certificate_in(public, "issuing")
    assert query.nonce is not None
    verifier = VerifierBuilder(roots=[root], intermediates=[issuing], nonce=query.nonce).build()
    assert verifier.verify_message(response, data)
    assert response.tst_info.nonce == query.nonce

    with pytest.raises(VerificationError, match="Mismatch between messages"):
        verifier.verify_message(response, data + b".")
    with pytest.raises(VerificationError, match="Nonce mismatch"):
        VerifierBuilder(roots=[root], intermediates=[issuing], nonce=query.nonce + 1).build().verify_message(
            response, data
        )
    made = stranger(
        public, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", "/dev/null", "-subj", "/CN=Somebody else", "-out", "else.pem",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    other = VerifierBuilder(roots=[certificate_in(public, "else")], nonce=query.nonce).build()
    with pytest.raises(VerificationError, match="Error while verifying certificates"):
        other.verify_message(response, data)


@pytest.mark.parametrize("digest", ["-sha256", "-sha384", "-sha512"])
def test_openssl_accepts_a_token_over_http_and_only_for_its_data(public: Service, digest: str) -> None:
    folder = public.user.folder
    (folder / "data").write_bytes(b"some data")
    (folder / "other").write_bytes(b"other data")
    asked = stranger(public, "openssl", "ts", "-query", "-data", "data", digest, "-cert", "-out", "query")
    assert asked.returncode == 0, asked.stderr
    answer = public.http.post(
        "/tsa", content=(folder / "query").read_bytes(), headers={"Content-Type": "application/timestamp-query"}
    )
    (folder / "reply").write_bytes(answer.content)
    trust = ("-CAfile", "root.pem", "-untrusted", "issuing.pem")
    for question in (("-queryfile", "query"), ("-data", "data")):
        done = stranger(public, "openssl", "ts", "-verify", *question, "-in", "reply", *trust)
        assert (done.returncode, "Verification: OK" in done.stdout + done.stderr) == (0, True), done.stderr
    refused = stranger(public, "openssl", "ts", "-verify", "-data", "other", "-in", "reply", *trust)
    assert refused.returncode != 0
    assert "message imprint mismatch" in refused.stderr


def test_openssl_asks_where_the_certificate_says_and_hears_good_then_revoked(public: Service) -> None:
    serial = issue(public, "Openssl")
    url = responder_in(certificate_in(public, "Openssl"))
    assert url == f"{public.url}/ocsp"
    words = (
        "openssl", "ocsp", "-issuer", "issuing.pem", "-cert", "Openssl.pem", "-url", url,
        "-CAfile", "root.pem", "-verify_other", "issuing.pem",
    )  # fmt: skip
    good = stranger(public, *words)
    assert "Response verify OK" in good.stderr
    assert "Openssl.pem: good" in good.stdout
    public.user.antin("cert", "revoke", serial, "--reason", "keyCompromise")
    revoked = stranger(public, *words)
    assert "Response verify OK" in revoked.stderr
    assert "Openssl.pem: revoked" in revoked.stdout
    assert "keyCompromise" in revoked.stdout


@pytest.mark.skipif(shutil.which("ocsptool") is None, reason="ocsptool is not installed (apt-get install gnutls-bin)")
def test_gnutls_asks_where_the_certificate_says_and_hears_good_then_revoked(public: Service) -> None:
    serial = issue(public, "Gnutls")

    def ask(trust: str) -> subprocess.CompletedProcess[str]:
        # Without a URL GnuTLS takes the one in the certificate.
        words = ("--ask", "--nonce", "--load-cert", "Gnutls.pem", "--load-issuer", "issuing.pem", "--load-trust", trust)
        return stranger(public, "ocsptool", *words)

    good = ask("chain.pem")
    assert good.returncode == 0, good.stderr
    assert "Verifying OCSP Response: Success" in good.stdout
    assert "Certificate Status: good" in good.stdout
    public.user.antin("cert", "revoke", serial, "--reason", "superseded")
    revoked = ask("chain.pem")
    assert revoked.returncode == 0, revoked.stderr
    assert "Verifying OCSP Response: Success" in revoked.stdout
    assert "Certificate Status: revoked" in revoked.stdout
    # It does look at who signed the answer.
    unknown = ask("Gnutls.pem")
    assert unknown.returncode != 0
    assert "Verifying OCSP Response: Success" not in unknown.stdout


def test_pyhankos_command_line_accepts_a_signed_and_timed_file_by_the_services_own_word_until_it_is_revoked(
    public: Service,
) -> None:
    public.user.sign("paper.pdf", "officer", "timed.pdf", "--level", "B-T")

    def validate(*words: str) -> tuple[subprocess.CompletedProcess[str], Counter[str]]:
        """What pyHanko says, and what it asked of the service to say it."""
        before = len(public.log_lines())
        done = stranger(
            public, ANTIN.with_name("pyhanko"), "sign", "validate", "--trust-replace", "--trust", "root.pem", *words,
            "timed.pdf",
        )  # fmt: skip
        # A line of the log may come a moment after the answer that it tells of.
        deadline = time.monotonic() + 5
        while True:
            asked = Counter(line["route"] for line in public.log_lines()[before:] if line["event"] == "request")
            if asked.total() >= 3 or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        return done, asked

    for words in ((), ("--force-revinfo",), ("--soft-revocation-check",), ("--retroactive-revinfo",)):
        accepted, asked = validate(*words)
        assert accepted.returncode == 0, accepted.stdout + accepted.stderr
        assert "INTACT:TRUSTED,TIMESTAMP_TOKEN<INTACT:TRUSTED>,UNTOUCHED" in accepted.stdout
        # The issuing CA by the root's CRL; the officer and the time-stamping authority by OCSP.
        assert asked == {"/crl/{authority}.crl": 1, "/ocsp/": 2}

    serial = public.user.json("cert", "show", "officer")["serial"]
    public.user.antin("cert", "revoke", serial, "--reason", "keyCompromise")
    refused, asked = validate("--force-revinfo")
    assert refused.returncode == 1
    assert "INTACT:REVOKED,TIMESTAMP_TOKEN<INTACT:TRUSTED>" in refused.stdout
    assert asked == {"/crl/{authority}.crl": 1, "/ocsp/": 2}


@pytest.mark.slow
@pytest.mark.skipif(not (CORPUS / "manifest.tsv").exists(), reason="no corpus: set ANTIN_TEST_CORPUS")
def test_http_and_command_line_give_every_file_of_the_corpus_the_same_verdict(public: Service) -> None:
    files = sorted(CORPUS.resolve().rglob("*.pdf"))
    assert len(files) >= 100
    done = public.user.run("verify", "--json", *files)
    typed: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(typed) == len(files)
    for file, expected in zip(files, typed, strict=True):
        sent = public.verify(file.read_bytes(), file.name)
        for verdict in (expected, sent):
            # The moment of the judgement, and a name that a form may have to write otherwise.
            del verdict["checked_at"], verdict["file"]
        assert sent == expected, file.name
    assert {each["conclusion"] for each in typed} >= {"invalid", "indeterminate", "unsigned", "unreadable"}
