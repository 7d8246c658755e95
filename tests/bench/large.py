"""One file of 1 GB, from file to file, beside copying it and hashing it once; and the most memory that any process of it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from api.wiring import open_installation
from pki.roles import owner
from signer.signing import SignRequest, sign_document
from signer.storage import OutputFile
from tests.bench.measure import Row
from tests.large_pdf import write_large

_OCTETS = 1024 * 1024 * 1024
_PAGES = 3000
_ROUNDS = 3
_GROWTH = 512 * 1024
_MOST_MB = 120.0


def run(home: Path, octets: int = _OCTETS) -> list[Row]:
    """Needs four times the file's room beside the home. Ours syncs what it hands out, the other does not."""
    with tempfile.TemporaryDirectory(prefix="antin-large-", dir=home.parent) as name:
        folder = Path(name)
        source = folder / "large.pdf"
        write_large(source, octets, _PAGES)
        ours, theirs = _times(home, source, folder / "target.pdf")
        gigabytes = octets / _OCTETS
        rows = [
            Row(
                f"{gigabytes:g} GB, file to file, beside copy and SHA-256",
                ours,
                theirs,
                round(theirs / ours, 2),
                "s",
                _ROUNDS,
                0.77,
            )
        ]
        for command in ("sign", "verify"):
            peak = _peak_of(command, home, source, folder) / 1024
            rows.append(
                Row(
                    f"{gigabytes:g} GB, antin {command}, largest process",
                    round(peak, 1),
                    _MOST_MB,
                    round(_MOST_MB / peak, 2),
                    "MB",
                    1,
                    1.0,
                )
            )
        return rows


def _times(home: Path, source: Path, target: Path) -> tuple[float, float]:
    """The better of a few rounds each, by turns: what the kernel writes back meanwhile is nobody's."""
    ours, theirs = [], []
    made: list[str] = []
    with open_installation({**os.environ, "ANTIN_HOME": str(home)}) as installation:

        def sign(target: Path) -> None:
            descriptor = os.open(source, os.O_RDONLY)
            try:
                pdf = installation.blobs.take_in(descriptor, source.stat().st_size, room=_GROWTH)
            finally:
                os.close(descriptor)
            request = SignRequest(pdf, source.name, "officer", placement="none")
            with OutputFile(target, expected_size=len(pdf) + _GROWTH, replace=False) as file:
                file.begin(pdf)
                signed = sign_document(request, owner("bench"), installation.signing)
                file.publish(signed.file)
            made.append(signed.sha256)

        def copy_and_hash(target: Path) -> None:
            subprocess.run(["cp", source, target], check=True)
            subprocess.run(["openssl", "dgst", "-sha256", source], check=True, stdout=subprocess.DEVNULL)

        for times, deed in ((ours, sign), (theirs, copy_and_hash)) * _ROUNDS:
            times.append(_seconds(deed, target))
            # Making room for the next round is no part of signing.
            for blob in made:
                installation.blobs.remove(blob)
            made.clear()
    return round(min(ours), 3), round(min(theirs), 3)


def _seconds(deed: Callable[[Path], None], target: Path) -> float:
    os.sync()
    start = time.perf_counter()
    deed(target)
    taken = time.perf_counter() - start
    target.unlink()
    return taken


def _peak_of(command: str, home: Path, source: Path, folder: Path) -> float:
    """The highest VmHWM, in KB, of the command, its judge and its key processes."""
    output = folder / "signed.pdf"
    arguments = {
        "sign": ["sign", str(source), "--as", "officer", "--placement", "none", "-o", str(output)],
        "verify": ["verify", str(output)],
    }[command]
    environment = {**os.environ, "ANTIN_HOME": str(home)}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("antin"), *arguments], env=environment, stdout=subprocess.DEVNULL
    )
    with watched(process.pid, home) as peaks:
        assert process.wait() == 0
    return max(peaks.values())


@contextmanager
def watched(pid: int, home: Path) -> Iterator[dict[int, float]]:
    """The peaks of a process, of those it started, and of the key processes of the home, for as long as they live."""
    peaks: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for each in _family(pid, home):
                with suppress(OSError, StopIteration, IndexError):
                    lines = Path(f"/proc/{each}/status").read_text().splitlines()
                    peaks[each] = float(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()


def _family(pid: int, home: Path) -> set[int]:
    above: dict[int, int] = {}
    found = {pid}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                above[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if str(home).encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                    found.add(int(entry.name))
    found.discard(os.getpid())
    grown = True
    while grown:
        more = {each for each, parent in above.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found
