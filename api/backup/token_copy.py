"""The token of SoftHSM as parts of a backup: its folder as it was at one moment, though keys may be made meanwhile.

Files are small. They are read one after the other, and when the folder is another one afterwards all of them are read again; a last
part says which round counts. Keys on any other module cannot be copied, and are not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from api.backup.archive import Part, fits, part_of
from api.errors import ComponentError

PREFIX = "token/"
CHOICE = "token.json"
_ROUNDS = 20
_PAUSE_SECONDS = 0.25


def token_parts(folder: Path) -> Iterator[Part]:
    """Rounds of the folder until one has stood still; ComponentError BACKUP_TOKEN_BUSY when none has."""
    for attempt in range(1, _ROUNDS + 1):
        before = _listing(folder)
        try:
            for name in before:
                if fits(f"{PREFIX}{attempt}/{name}"):
                    yield part_of(f"{PREFIX}{attempt}/{name}", (folder / name).read_bytes())
        except FileNotFoundError:
            # Gone since it was listed: the next round does not know it.
            before = {}
        if before and _listing(folder) == before:
            yield part_of(CHOICE, json.dumps({"round": attempt}).encode())
            return
        time.sleep(_PAUSE_SECONDS)
    raise ComponentError("BACKUP_TOKEN_BUSY", path=folder.name)


def _listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file with what changes when it is written."""
    found = {}
    for path in sorted(folder.rglob("*")):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found
