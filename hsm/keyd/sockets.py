"""Sockets: a keeper's two listening sockets in its run folder, made for the owner only, and made again when removed."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

_BACKLOG = 1024


class ListeningSocket:
    """A SOCK_SEQPACKET socket that listens at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = self._bind()

    def is_there(self) -> bool:
        """Whether the path still leads here."""
        try:
            told = self.path.lstat()
        except OSError:
            return False
        return (told.st_dev, told.st_ino) == self._identity

    def bind_again(self) -> None:
        """A new socket in place of the one whose name has gone."""
        old, self.socket = self.socket, self._bind()
        old.close()

    def close(self) -> None:
        """Take the name away and stop listening."""
        if self.is_there():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.socket.close()

    def _bind(self) -> socket.socket:
        # Bound beside its place and moved there when it listens: nobody finds a socket that refuses.
        aside = self.path.with_name(".new.sock")
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        try:
            mask = os.umask(0o177)
            try:
                listener.bind(str(aside))
            finally:
                os.umask(mask)
            listener.listen(_BACKLOG)
            told = aside.lstat()
            aside.replace(self.path)
        except OSError:
            listener.close()
            raise
        self._identity = (told.st_dev, told.st_ino)
        return listener
