"""The fault-injecting module, built once a process with gcc into a temporary folder."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("faulty.c")
_FLAGS = ("-shared", "-fPIC", "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-pthread")


@functools.cache
def build_faulty_module() -> Path:
    """Path of the shared object. Raises CalledProcessError with gcc's words when it does not build."""
    folder = Path(tempfile.mkdtemp(prefix="antin-faulty-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    built = folder / "libfaulty-pkcs11.so"
    subprocess.run(["gcc", *_FLAGS, str(SOURCE), "-o", str(built), "-ldl"], check=True, timeout=120)
    return built


def require_gcc() -> None:
    """Skip the test where no compiler is installed."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed (apt-get install gcc libc6-dev)")
