"""A real Chromium by its own driver: the few calls of W3C WebDriver and of its debugging protocol that the page tests use."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver 12
# Root is allowed here; the pages are our own. No first-run traffic: what is requested is what the page asks for.
_FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
    "--lang=vi", "--disable-search-engine-choice-screen", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
TAB, ENTER, SPACE = "\ue004", "\ue007", " "


def driver_path() -> str | None:
    """Debian's chromium-driver, if it is installed."""
    return shutil.which("chromedriver")


class Browser:
    """One window."""

    def __init__(self, port: int, session: str) -> None:
        self._port = port
        self._path = f"/session/{session}"

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def address(self) -> str:
        return str(self._call("GET", "/url"))

    def source(self) -> str:
        return str(self._call("GET", "/source"))

    def title(self) -> str:
        return str(self._call("GET", "/title"))

    def find(self, selector: str) -> list[str]:
        """Ids of the elements that a CSS selector finds."""
        found = self._call("POST", "/elements", {"using": "css selector", "value": selector})
        return [each[_ELEMENT] for each in found]

    def text(self, selector: str) -> str:
        """The text that a reader sees in the first such element."""
        return str(self._call("GET", f"/element/{self._first(selector)}/text"))

    def texts(self, selector: str) -> list[str]:
        return [str(self._call("GET", f"/element/{each}/text")) for each in self.find(selector)]

    def attribute(self, selector: str, name: str) -> str | None:
        value: str | None = self._call("GET", f"/element/{self._first(selector)}/attribute/{name}")
        return value

    def type(self, selector: str, text: str) -> None:
        """Type into an element; a path, when it is a file field."""
        self._call("POST", f"/element/{self._first(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        self._call("POST", f"/element/{self._first(selector)}/click", {})

    def wait_for(self, selector: str, seconds: float = 20.0) -> None:
        """Until such an element is there."""
        deadline = time.monotonic() + seconds
        while not self.find(selector):
            assert time.monotonic() < deadline, f"no {selector} on {self.address()}"
            time.sleep(0.05)

    def press(self, *keys: str) -> None:
        """Keys to whatever has the focus."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def focused(self) -> dict[str, str]:
        """Tag, id and text of the element that has the focus."""
        element = self._call("GET", "/element/active")[_ELEMENT]
        path = f"/element/{element}"
        return {
            "tag": str(self._call("GET", f"{path}/name")),
            "id": str(self._call("GET", f"{path}/attribute/id") or ""),
            "text": str(self._call("GET", f"{path}/text")),
        }

    def devtools(self, command: str, **parameters: Any) -> Any:
        """One command of the Chrome DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def evaluate(self, expression: str) -> Any:
        """A value of the page, asked for by the debugger: works where the page itself may run nothing."""
        answer = self.devtools("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def resize(self, width: int, height: int = 900) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def prefer(self, scheme: str) -> None:
        """`light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def refuse_scripts(self) -> None:
        """As a reader who has switched JavaScript off."""
        self.devtools("Emulation.setScriptExecutionDisabled", value=True)

    def allow_scripts(self) -> None:
        """For tools that are put into a page; ours has none."""
        self.devtools("Emulation.setScriptExecutionDisabled", value=False)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        answer = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def requested(self) -> list[str]:
        """Every address that was asked for since the last call."""
        entries = self._call("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """What the browser's console holds against the page since the last call: blocked styles, missing files."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def close(self) -> None:
        self._call("DELETE", "")

    def _first(self, selector: str) -> str:
        found = self.find(selector)
        assert found, f"nothing on the page fits {selector}"
        return found[0]

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return call_driver(self._port, method, self._path + path, body)


def call_driver(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    value = answer["value"]
    if isinstance(value, dict) and "error" in value:
        raise AssertionError(f"{method} {path}: {value['error']}: {value['message']}")
    return value


@contextmanager
def running_driver(log: Path) -> Iterator[int]:
    """The driver process; its port."""
    path = driver_path()
    assert path is not None
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen([path, f"--port={port}"], stdout=output, stderr=output)
        try:
            _await_driver(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def open_browser(port: int, profile: Path) -> Browser:
    """A window with a fresh profile."""
    options = {
        "args": [*_FLAGS, f"--user-data-dir={profile}"],
        "perfLoggingPrefs": {"enableNetwork": True, "enablePage": False},
    }
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
    }
    answer = call_driver(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
    return Browser(port, answer["sessionId"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_driver(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if call_driver(port, "GET", "/status")["ready"]:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("chromedriver does not start")
