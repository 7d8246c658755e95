"""Where the key process of a home has its sockets and locks, and that nobody else may put theirs there.

Which folder it is follows from the home's path alone, never from the environment: two processes that disagreed about
it would open one token twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from pathlib import Path

from hsm.errors import KeyProcessFailed

SOCKET = "keyd.sock"
STATE_SOCKET = "keyd-state.sock"
LOCK = "keyd.lock"
START_LOCK = "keyd-start.lock"
LOG = "keyd.log"
PIN_REFUSED = "pin-refused"

# sockaddr_un.sun_path has 108 octets, the last of them zero (unix(7)).
_LONGEST_SOCKET_PATH = 107
_SHORT_FOLDERS = Path("/tmp")  # noqa: S108 the folder below it is checked for its owner and mode before each use
_POLL_SECONDS = 0.02


def run_folder(home: Path) -> Path:
    """`run` under the home, or a short folder elsewhere when the sockets' paths would be too long."""
    inside = home.absolute() / "run"
    if len(os.fsencode(inside / STATE_SOCKET)) <= _LONGEST_SOCKET_PATH:
        return inside
    name = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:24]
    return _SHORT_FOLDERS / f"antin-{name}"


def socket_name(lane: int) -> str:
    """The name of the socket of a keeper's lane-th token process."""
    return SOCKET if lane == 0 else f"keyd-{lane}.sock"


def count_lanes(folder: Path) -> int:
    """How many token processes a client finds there; one, if it is only to learn that there is none."""
    lanes = 1
    while (folder / socket_name(lanes)).exists():
        lanes += 1
    return lanes


def prepare_run_folder(folder: Path) -> None:
    """Make the folder, for its owner only; KeyProcessFailed when it is another's or open to others."""
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    except OSError as error:
        raise KeyProcessFailed(f"cannot make {folder}: {error}", reason=str(folder)) from error
    check_run_folder(folder)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)  # our own, made by another program with a wider mask


def check_run_folder(folder: Path) -> None:
    """Raise KeyProcessFailed unless the folder is ours. One that is not there is harmless."""
    try:
        told = folder.lstat()
        parent = folder.parent.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise KeyProcessFailed(f"cannot look at {folder}: {error}", reason=str(folder)) from error
    owners = {os.geteuid()}
    if os.geteuid() == 0 and not parent.st_mode & stat.S_IWOTH:
        # Root may work in a home of somebody else's, but takes no folder that a stranger left in an open place.
        owners.add(told.st_uid)
    if not stat.S_ISDIR(told.st_mode) or told.st_uid not in owners:
        raise KeyProcessFailed(f"{folder} is not a folder of ours", reason=str(folder))


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """A descriptor that holds the lock, or None while another holds it. The lock goes with its last descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        # Whoever had the lock may have removed the file: a lock on a file that is not there any more holds nobody off.
        if _is_at(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def wait_for_lock(path: Path, seconds: float) -> int | None:
    """try_lock until it works or the time is over."""
    deadline = time.monotonic() + seconds
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_SECONDS)
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock."""
    if not path.exists():
        return False
    try:
        descriptor = try_lock(path, shared=True)
    except FileNotFoundError:
        return False
    if descriptor is None:
        return path.exists()
    os.close(descriptor)
    return False


def holds(descriptor: int, path: Path) -> bool:
    """Whether the lock that was taken still is the one that others would try."""
    return _is_at(descriptor, path)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        told = path.lstat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (told.st_dev, told.st_ino) == (held.st_dev, held.st_ino)
