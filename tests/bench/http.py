"""The service under load, the load generator on the same cores: OCSP beside an empty route, time-stamps, signing, judging."""

from __future__ import annotations

import base64
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPRequestBuilder

from pki.tsa.request import build_request
from tests.bench import ocsp
from tests.bench.measure import Row
from tests.bench.signing import pages
from tests.postgres import durable_cluster, setting

_ANTIN = str(Path(sys.executable).with_name("antin"))
_JUDGED_PER_SECOND = 20.0
# Clients who send one request after the other.
_CONNECTIONS = 16
_BOUNDARY = b"bench-boundary"


def run(home: Path, *, full: bool = False) -> list[Row]:
    """Serve a demonstration home and measure. Rates are the median of rounds, taken in turns."""
    environment = {**os.environ, "ANTIN_HOME": str(home), "ANTIN_WEB__TOKEN_PER_SECOND": "100000"}
    scale = 4 if full else 1
    asked = ocsp.certify(environment)
    with _served(environment, workers=1) as (host, port):
        rows = _status_answers(host, port, environment, asked, 600 * scale)
        rows.append(ocsp.measure_live(environment, asked, 1000 * scale))
    with _served(environment, workers=2) as (host, port):
        rows += _documents(host, port, environment, 300 * scale)
    return rows + _on_postgresql(300 * scale)


def _status_answers(host: str, port: int, environment: dict[str, str], asked: list[bytes], count: int) -> list[Row]:
    """One process. An empty route of the same server is what OCSP could at best reach."""

    def load(requests: Sequence[bytes], count: int) -> float:
        told = _load(host, port, *requests, connections=4, count=count)
        assert set(told["statuses"]) == {"200"}, told["statuses"]
        return float(told["seconds"])

    ocsp.wait_until_signed(environment)
    rows = ocsp.measure_stored(asked, _get("/healthz"), load, count)
    query = build_request("sha256", b"\x5a" * 32, nonce=12345)
    requests = {
        "empty": _get("/healthz"),
        "nonce": _post("/ocsp", "application/ocsp-request", _ocsp_request(environment, b"n" * 16)),
        "tsa": _post("/tsa", "application/timestamp-query", query),
    }
    rates: dict[str, list[float]] = {name: [] for name in requests}
    for request in requests.values():
        _load(host, port, request, connections=4, count=100)
    for _ in range(5):
        for name, request in requests.items():
            rates[name].append(count / _load(host, port, request, connections=4, count=count)["seconds"])
    empty, signed, stamped = (statistics.median(each) for each in rates.values())
    return [
        *rows,
        _rate("OCSP with a nonce, signed each time, peer: the same", signed, empty, count * 5),
        _rate("time-stamps over HTTP, one process, peer: 600/s", stamped, 600.0, count * 5, goal=1.0),
    ]


def _on_postgresql(count: int) -> list[Row]:
    """Signing once more with the register on PostgreSQL, whose commits wait for the disk; nothing where it is not installed."""
    server = durable_cluster()
    if server is None:
        return []
    with tempfile.TemporaryDirectory(prefix="antin-bench-") as folder:
        environment = {**os.environ, "ANTIN_HOME": f"{folder}/home", "ANTIN_WEB__TOKEN_PER_SECOND": "100000"}
        environment |= setting(server.new())
        subprocess.run([_ANTIN, "init", "--demo"], env=environment, check=True, stdout=subprocess.DEVNULL)
        sign = _sign_request(environment)
        with _served(environment, workers=2) as (host, port):
            rows = _waiting_and_rate(
                host, port, "POST /api/v1/documents on PostgreSQL, peer: 200/s", sign, 200.0, "201", count
            )
            return [*rows, _waiting_at(host, port, sign, 120.0, "201", 4 * count)]


def _documents(host: str, port: int, environment: dict[str, str], count: int) -> list[Row]:
    """Signing and judging with two processes; then the waiting times at 70 % of the rate that was reached."""
    sign = _sign_request(environment)
    with tempfile.TemporaryDirectory() as folder:
        plain, signed = Path(folder) / "plain.pdf", Path(folder) / "signed.pdf"
        plain.write_bytes(pages(3))
        words = ["sign", plain, "--as", "officer", "--placement", "none", "-o", signed]
        subprocess.run([_ANTIN, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
        verify = _form("/api/v1/verify", signed.read_bytes())
    rows: list[Row] = []
    for name, request, goal, status in (
        ("POST /api/v1/documents, B-B, peer: 100/s", sign, 100.0, "201"),
        ("POST /api/v1/verify, peer: 80/s", verify, 80.0, "200"),
    ):
        rows += _waiting_and_rate(host, port, name, request, goal, status, count)
    return [*rows, _signing_beside_judging(host, port, sign, verify, rows[0].ours / 2, count)]


def _signing_beside_judging(host: str, port: int, sign: bytes, verify: bytes, rate: float, count: int) -> Row:
    """So many are to be signed a second, half of what can be; beside them twenty are to be judged, for at least as long."""

    def signed() -> float:
        told = _load(host, port, sign, connections=32, count=count, rate=rate)
        assert set(told["statuses"]) == {"201"}, told["statuses"]
        return count / float(told["seconds"])

    alone, beside = [], []
    for _ in range(3):
        alone.append(signed())
        with ThreadPoolExecutor(1) as pool:
            # What a generator's own start takes goes before the first request of both.
            asked = int(_JUDGED_PER_SECOND * (count / rate + 1))
            judged = pool.submit(_load, host, port, verify, connections=16, count=asked, rate=_JUDGED_PER_SECOND)
            beside.append(signed())
            assert set(judged.result()["statuses"]) == {"200"}
    name = f"signing at {rate:.0f}/s beside {_JUDGED_PER_SECOND:.0f}/s judged, peer: alone"
    return _rate(name, statistics.median(beside), statistics.median(alone), count * 3, goal=0.9)


def _sign_request(environment: dict[str, str]) -> bytes:
    # The comment makes each request another document.
    pdf = pages(3) + b"%% @NUMBER@\n"
    token = subprocess.run(
        [_ANTIN, "token", "issue", "--scope", "sign"], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    return _form("/api/v1/documents", pdf, token, credential=b"officer", placement=b"none", level=b"B-B")


def _waiting_and_rate(
    host: str, port: int, name: str, request: bytes, goal: float, status: str, count: int
) -> list[Row]:
    """The rate that so many connections reach, and the waiting times at 70 % of it."""
    _load(host, port, request, connections=4, count=40)
    runs = [_load(host, port, request, connections=_CONNECTIONS, count=count) for _ in range(3)]
    assert {each for one in runs for each in one["statuses"]} == {status}, runs[0]["statuses"]
    rate = statistics.median(count / one["seconds"] for one in runs)
    rows = [_rate(name, rate, goal, count * 3, goal=1.0)]
    paced = _load(host, port, request, connections=32, count=count, rate=rate * 0.7)["taken"]
    for title, share in (("p50", 0.5), ("p99", 0.99)):
        value = paced[min(len(paced) - 1, int(len(paced) * share))] * 1000
        rows.append(Row(f"  {title} at 70 % of it", round(value, 1), round(value, 1), 1.0, "ms", count))
    return rows


def _waiting_at(host: str, port: int, request: bytes, rate: float, status: str, count: int) -> Row:
    """How long one in a hundred waits when so many come a second, whatever the service does."""
    told = _load(host, port, request, connections=64, count=count, rate=rate)
    assert set(told["statuses"]) == {status}, told["statuses"]
    p99 = told["taken"][int(count * 0.99)] * 1000
    return Row(
        f"  p99 at {rate:.0f}/s offered, peer: 60 ms", round(p99, 1), 60.0, round(60.0 / p99, 2), "ms", count, 1.0
    )


def _rate(name: str, ours: float, peer: float, n: int, goal: float | None = None) -> Row:
    """Per second; the ratio is ours / peer."""
    return Row(name, round(ours), round(peer), round(ours / peer, 2), "/s", n, goal)


@contextmanager
def _served(environment: dict[str, str], workers: int) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(
        [_ANTIN, "serve", "--port", "0", "--workers", str(workers)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().split()[2])
        assert address.hostname is not None
        assert address.port is not None
        yield address.hostname, address.port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def _load(host: str, port: int, *requests: bytes, connections: int, count: int, rate: float = 0.0) -> dict[str, Any]:
    """Requests are sent in turn."""
    words = [sys.executable, "-m", "tests.bench.load", host, str(port), str(connections), str(count), str(rate)]
    sent = json.dumps([base64.b64encode(each).decode() for each in requests]).encode()
    done = subprocess.run(words, input=sent, capture_output=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def _post(path: str, media_type: str, body: bytes, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{more}Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _form(path: str, pdf: bytes, token: str = "", **fields: bytes) -> bytes:
    parts = [b'form-data; name="%s"\r\n\r\n%s' % (name.encode(), value) for name, value in fields.items()]
    parts.append(b'form-data; name="file"; filename="bench.pdf"\r\n\r\n' + pdf)
    body = (
        b"".join(b"--%s\r\nContent-Disposition: %s\r\n" % (_BOUNDARY, part) for part in parts)
        + b"--%s--\r\n" % _BOUNDARY
    )
    more = f"Authorization: Bearer {token}\r\n" if token else ""
    return _post(path, f"multipart/form-data; boundary={_BOUNDARY.decode()}", body, more)


def _ocsp_request(environment: dict[str, str], nonce: bytes = b"") -> bytes:
    def pem(*words: str) -> x509.Certificate:
        done = subprocess.run([_ANTIN, *words, "--pem"], env=environment, check=True, capture_output=True)
        return x509.load_pem_x509_certificate(done.stdout)

    officer, issuing = pem("cert", "show", "officer"), pem("ca", "show", "issuing")
    builder = OCSPRequestBuilder().add_certificate(officer, issuing, SHA256())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)
