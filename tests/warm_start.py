"""An interpreter for commands of tests that starts the product's own short-lived programs without loading them anew.

A command starts a judge, a linter or a font cutter as `sys.executable -m MODULE`. For these three a process stands by that has
imported what the module imports, and forks for each; the fork runs the module itself as `__main__`, with its own arguments,
folder, environment, descriptors and limits. Everything else, the key process above all, goes to the real interpreter.
Tests of these programs, and of services, start them by the real interpreter.

Two halves in one file, run with `-I` and without the folder of the tests: `stand-by` forks, `be` is what the command started.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

# What stands by: the module, and what it loads by name when it works.
WARM = {
    "signer.sandbox_child": ("signer.preparing", "signer.validation.door"),
    "certs.lint.pkilint_child": (),
    "signer.appearance.subset": (),
}
_LONGEST = 1 << 16


def interpreter(folder: str, address: str) -> str:
    """A program in a folder that may stand where an interpreter stands; where nobody stands by, it is the real one."""
    path = Path(folder, "python")
    path.write_text(
        f"#!{sys.executable} -IS\nimport sys\n"
        f"sys.argv[1:1] = ['be', {address!r}, {sys.executable!r}]\n"
        f"exec(compile(open({__file__!r}, encoding='utf-8').read(), {__file__!r}, 'exec'))\n",
        encoding="utf-8",
    )
    path.chmod(0o700)
    return str(path)


def address_of(address: str, module: str) -> str:
    return f"\0{address}-{module}"


def stand_by(module: str, address: str) -> None:
    """Fork for each that asks, for as long as whoever started this holds the other end of standard input."""
    import runpy

    gc.disable()
    main = importlib.import_module(module)
    if module == "signer.sandbox_child":
        main._leave_out_http()  # as it does before it loads a task
    for name in WARM[module]:
        importlib.import_module(name)
    del sys.modules[module]
    gc.freeze()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.bind(address_of(address, module))
    door.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while sys.stdin not in select.select([door, sys.stdin], [], [])[0]:
        line, _ = door.accept()
        if os.fork() == 0:
            door.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _attend(line, lambda: runpy.run_module(module, run_name="__main__", alter_sys=True))
        line.close()


def _attend(line: socket.socket, run: Callable[[], object]) -> None:
    """Run one program and tell how it ended; kill it when whoever asked for it has gone."""
    request, ancillary, _, _ = line.recvmsg(_LONGEST, socket.CMSG_SPACE(12))
    handed = array.array("i")
    handed.frombytes(ancillary[0][2][:12])
    asked = json.loads(request)
    child = os.fork()
    if child == 0:
        line.close()
        os.setsid()
        for target, descriptor in enumerate(handed):
            os.dup2(descriptor, target)
        os.closerange(3, 256)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv[1:] = asked["words"]
        _end_with(run)
    for descriptor in handed:
        os.close(descriptor)
    # Readable when the program has ended, and when whoever asked has gone: whichever comes first.
    ended = os.pidfd_open(child)
    if line in select.select([line, ended], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    with contextlib.suppress(OSError):
        line.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _end_with(run: Callable[[], object]) -> None:
    """The end of an interpreter, but for taking apart what is shared with the one that stands by."""
    code = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def be(address: str, real: str, words: list[str]) -> None:
    """Have a program run by the process that stands by for it, and end as it ends; else become the real interpreter."""
    module = words[words.index("-m") + 1] if "-m" in words else ""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        if module not in WARM:
            raise ConnectionRefusedError
        line.connect(address_of(address, module))
    except OSError:
        os.execv(real, [real, *words])
    asked = {"words": words[words.index("-m") + 2 :], "folder": str(Path.cwd()), "environment": dict(os.environ)}
    handed = array.array("i", [0, 1, 2])
    line.sendmsg([json.dumps(asked).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)])
    # The pipes are the program's now: their other ends must see when it closes them.
    for descriptor in (0, 1):
        os.close(descriptor)
    code = int(line.recv(64) or b"1")
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other handling
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "be":
        be(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        stand_by(sys.argv[2], sys.argv[3])
