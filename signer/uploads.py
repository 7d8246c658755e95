"""Files that wait to be signed: a folder for each batch, gone when the batch has ended. What is signed is storage.py's."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from signer.errors import Unavailable
from signer.password import NO_PASSWORD, Password
from signer.sealing import seal, unseal
from signer.storage import write_once

_AT_ONCE = 8
_PASSWORD = "password"  # noqa: S105  the file's name, not what stands in it


class UploadStore:
    """The uploads of a home. `key_file` is what passwords are sealed with."""

    def __init__(self, folder: Path, key_file: Path) -> None:
        self._folder = folder
        self._key_file = key_file

    def keep(self, batch: str, contents: Sequence[bytes], password: Password = NO_PASSWORD) -> None:
        """Store the files of a batch by their positions, and what opens them, synced; Unavailable, and then nothing stays."""
        places = [self._place(batch, position) for position in range(len(contents))]
        try:
            # The first alone: it makes the folder.
            write_once(places[0], contents[0])
            with ThreadPoolExecutor(_AT_ONCE, "upload") as pool:
                list(pool.map(write_once, places[1:], contents[1:]))
            if password:
                sealed = seal(password.text.encode(), batch, self._key_file)
                write_once(self._folder / batch / _PASSWORD, sealed)
        except Unavailable:
            self.forget(batch)
            raise

    def read(self, batch: str, position: int, sha256: str) -> bytes:
        """A file as it came; Unavailable UPLOAD_MISSING when it is not there any more or is another."""
        try:
            content = self._place(batch, position).read_bytes()
        except OSError as error:
            raise Unavailable("UPLOAD_MISSING", sha256=sha256) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Unavailable("UPLOAD_MISSING", sha256=sha256)
        return content

    def password(self, batch: str) -> Password:
        """What opens the files of a batch; none when none was given. Unavailable when it cannot be read any more."""
        try:
            sealed = (self._folder / batch / _PASSWORD).read_bytes()
        except FileNotFoundError:
            return NO_PASSWORD
        except OSError as error:
            raise Unavailable("SEAL_BROKEN", path=_PASSWORD) from error
        return Password(unseal(sealed, batch, self._key_file).decode())

    def forget(self, batch: str) -> None:
        """Remove the files of a batch; nothing happens when there are none."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder / batch)

    def forget_all_but(self, batches: Collection[str], older_than: float) -> None:
        """Remove what belongs to none of these, and was made before a moment of the file system's clock: a process died over it."""
        with contextlib.suppress(FileNotFoundError):
            for folder in self._folder.iterdir():
                if folder.name not in batches and folder.stat().st_mtime < older_than:
                    self.forget(folder.name)

    def _place(self, batch: str, position: int) -> Path:
        return self._folder / batch / f"{position}"
