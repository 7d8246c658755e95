"""Landlock: the process gives up, for good, the files of the system and the network, where the kernel has these rules.

Only for the judge process, which has one thread when it does so. What is open already stays open.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

# The numbers are the same on all architectures (landlock(7)).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_WANTED = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# What each version of the kernel's rules can forbid: all acts on files of the first, then moving to another folder,
# cutting off, commands to devices.
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_TCP_BIND_AND_CONNECT = 3  # since 4
_ABSTRACT_SOCKETS_AND_SIGNALS = 3  # since 6
# Shared libraries, fonts, time zones; what the dynamic loader and OpenSSL look up; oneself.
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/openssl.cnf", "/dev/urandom", "/dev/null",
    "/proc/self",
)  # fmt: skip


def forbid_files_and_network() -> int:
    """From here on nothing can be written or begun anywhere, and read only what the program consists of. Returns the version, 0 for none.

    Needs `no_new_privs`. Raises OSError when the kernel has Landlock and refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_WANTED))
    if version < 1:
        return 0
    files = 0
    for since, acts in _FILES.items():
        files |= acts if version >= since else 0
    network = _TCP_BIND_AND_CONNECT if version >= 4 else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    # An older kernel knows a shorter structure.
    length = 24 if scoped else 16 if network else 8
    attributes = struct.pack("=QQQ", files, network, scoped)[:length]
    rules = _checked(libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(length), ctypes.c_uint(0)))
    try:
        for path, acts in _readable():
            _allow(libc, rules, path, acts)
        _checked(libc.syscall(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint(0)))
    finally:
        os.close(rules)
    return int(version)


def _readable() -> Iterator[tuple[str, int]]:
    """Python, the packages it finds, and the system's own libraries. A folder with more beside packages is listed and no more."""
    whole = [*_SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix]
    for path in whole:
        yield path, _READ_FILE | _READ_DIR
    # The packages of this program may be where only a hook finds them.
    for entry in (*sys.path, str(Path(__file__).parents[1])):
        folder = Path(entry)
        if any(folder.is_relative_to(path) for path in whole):
            continue
        if folder.is_file():
            yield entry, _READ_FILE
        elif folder.is_dir():
            yield entry, _READ_DIR
            for package in folder.iterdir():
                if (package / "__init__.py").exists():
                    yield str(package), _READ_FILE | _READ_DIR


def _allow(libc: ctypes.CDLL, rules: int, path: str, acts: int) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not Path(path).is_dir():
                acts &= _READ_FILE
            rule = struct.pack("=Qi", acts, place)
            _checked(libc.syscall(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0)))
        finally:
            os.close(place)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
