"""A site to visit: a demonstration home with documents in every state, and `antin serve` on it as a process of its own."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from tests.installation import ANTIN, User

HOSTILE = "<img src=x onerror=alert(1)>"
HOSTILE_SUBJECT = f'<script>alert("trích yếu")</script> & {HOSTILE}'


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Site:
    """Files by what they are, and codes and serials of the register."""

    user: User
    port: int = 0
    pid: int = 0
    files: dict[str, Path] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    serials: dict[str, str] = field(default_factory=dict)

    def url(self, path: str, **query: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}" + (f"?{urlencode(query)}" if query else "")

    def get(self, path: str, headers: dict[str, str] | None = None, **query: str) -> Answer:
        return self.ask("GET", path + (f"?{urlencode(query)}" if query else ""), headers=headers)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read().decode("utf-8"))
        finally:
            connection.close()

    def upload(self, path: str, content: bytes, name: str = "a.pdf", language: str = "vi") -> Answer:
        """Send a file as a browser's form does."""
        boundary = uuid.uuid4().hex
        quoted = name.replace("\\", "\\\\").replace('"', "%22").encode()
        head = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n' % (boundary.encode(), quoted)
        body = head + b"Content-Type: application/pdf\r\n\r\n" + content + f"\r\n--{boundary}--\r\n".encode()
        media_type = f"multipart/form-data; boundary={boundary}"
        return self.ask("POST", f"{path}?lang={language}", body, {"Content-Type": media_type})


def furnish(user: User) -> Site:
    """Sign, seal, recall, revoke, damage: one document for each state that a citizen may meet."""
    site = Site(user)
    folder = user.folder
    (folder / "hostile.json").write_text(json.dumps({"Subject": HOSTILE_SUBJECT}), "utf-8")
    _issue(site, "good", "B-B")
    _issue(site, "stamped", "B-T")
    _issue(site, "recalled", "B-B")
    _issue(site, "hostile", "B-B", metadata="hostile.json")
    user.antin("document", "recall", site.codes["recalled"], "--reason", "sai số liệu")
    site.codes["officer-only"] = user.sign("paper.pdf", "officer", "officer-only.pdf")["code"]
    subject = f"CN={_escaped(HOSTILE)},T=Phó Giám đốc,UID=CCCD:001099001234,O=Sở Mẫu,C=VN"
    site.serials["hostile"] = _certificate(user, subject, "intruder")
    user.sign("paper.pdf", "intruder", "hostile-name.pdf", "--placement", "none")
    site.serials["officer"] = user.json("cert", "show", "officer")["serial"]
    site.serials["revoked"] = _certificate(user, "CN=Cũ,T=Phó Giám đốc,O=Sở Mẫu,C=VN", "former")
    user.sign("paper.pdf", "former", "revoked.pdf", "--placement", "none")
    user.antin("cert", "revoke", "former", "--reason", "affiliationChanged")
    (folder / "officer.pem").write_text(user.antin("cert", "show", "officer", "--pem"), "utf-8")
    good = (folder / "good.pdf").read_bytes()
    at = good.rfind(b"/V (0")
    (folder / "tampered.pdf").write_bytes(good[: at + 4] + b"9" + good[at + 5 :])
    (folder / "damaged.pdf").write_bytes(good[:3000])
    (folder / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    subprocess.run(
        ["qpdf", "--encrypt", "a", "b", "256", "--", folder / "paper.pdf", folder / "locked.pdf"], check=True
    )
    site.files = {path.stem: path for path in folder.iterdir()}
    return site


def _issue(site: Site, name: str, level: str, metadata: str = "") -> None:
    more = ("--metadata", metadata) if metadata else ()
    step = f"{name}-step.pdf"
    site.user.sign("paper.pdf", "officer", step, "--level", level, *more)
    site.codes[name] = site.user.sign(step, "seal", f"{name}.pdf", "--level", level)["code"]
    (site.user.folder / step).unlink()


def _certificate(user: User, subject: str, credential: str) -> str:
    issued = user.json("cert", "issue", "--profile", "officer", "--subject", subject, "--credential", credential)
    return str(issued["serial"])


def _escaped(value: str) -> str:
    return "".join(f"\\{each}" if each in '<>"+,;=' else each for each in value)


@contextmanager
def serving(site: Site, **settings: str) -> Iterator[Site]:
    """`antin serve` on a free port, ended by SIGTERM."""
    process = subprocess.Popen(
        [ANTIN, "serve", "--port", "0", "--workers", "1"],
        cwd=site.user.folder, env=site.user.surroundings(**settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
    reader.start()
    try:
        site.port = _announced_port(lines)
        site.pid = process.pid
        yield site
    finally:
        process.terminate()
        process.wait(15)
        reader.join(5)
        process.stdout.close()
    assert not any("Traceback" in line for line in lines), lines


def _announced_port(lines: list[str]) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in list(lines):
            _, found, rest = line.partition("http://127.0.0.1:")
            if found:
                return int("".join(c for c in rest.split()[0] if c.isdigit()))
        time.sleep(0.05)
    raise AssertionError(f"the server does not say where it listens: {lines}")


def has_tools() -> bool:
    return shutil.which("qpdf") is not None
