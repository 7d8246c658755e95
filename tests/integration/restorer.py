"""Makes or restores a backup in this process, which dies (kill -9) the nth time that it asks what time it is, or is hindered then.

`restorer.py create|restore N die|squat FILE KEY`; the home comes from the environment. `squat` puts a file into the place of the home,
so that the restored folder cannot be renamed.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from api.backup.create import BackupWish, create_backup
from api.backup.recovery_key import parse_recipients, read_identities
from api.backup.restore import RestoreWish, restore_backup
from api.errors import ComponentError
from api.wiring import open_installation
from certs.clock import SystemClock
from pki.roles import owner


class FatalClock(SystemClock):
    """The machine's clock until it is asked for the nth time."""

    def __init__(self, calls: int, deed: str) -> None:
        self._left = calls
        self._deed = deed

    def now(self) -> datetime:
        self._left -= 1
        if self._left == 0 and self._deed == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0:
            home = Path(os.environ["ANTIN_HOME"])
            home.mkdir(exist_ok=True)
            (home / "squatter").touch()
        return super().now()


def main(act: str, calls: str, deed: str, file: str, key: str) -> int:
    clock, actor = FatalClock(int(calls), deed), owner("root")
    if act == "create":
        recipient = Path(key).read_text("ascii").splitlines()[0].removeprefix("# public key: ")
        with open_installation(os.environ, clock) as installation:
            create_backup(installation, BackupWish(Path(file), tuple(parse_recipients([recipient]))), actor)
        return 0
    try:
        wish = RestoreWish(Path(file), file, tuple(read_identities(Path(key), key)))
        print(restore_backup(wish, os.environ, actor, clock).id)
    except ComponentError as error:
        print(error.code)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
