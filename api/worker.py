"""The worker process of a service: does what is due by itself, ends when told or left alone.

Started as `python -m api.worker CONTROL` by api/serve.py, with one inherited descriptor.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

from api.jobs import make_jobs
from api.logs import set_up_logs
from api.schedule import Schedule
from api.web_process import READY
from api.wiring import open_installation

# Within the supervisor's patience. What is not done by then is left as a death would leave it.
_LAST_SECONDS = 2.0


def main(control: int) -> None:
    """Work until SIGTERM, or until the supervisor is gone."""
    logger = set_up_logs()
    installation = open_installation(os.environ, starts_keys=False)
    schedule = Schedule(
        make_jobs(installation), installation.database, installation.clock, installation.home.run, logger
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: schedule.stop())
    line = socket.socket(fileno=control)
    threading.Thread(target=_watch, args=(line,), daemon=True).start()
    schedule.start()
    line.sendall(READY)
    schedule.wait()
    schedule.join(_LAST_SECONDS)
    sys.stderr.flush()
    # A job in the middle of a call that cannot be broken off has no say any more.
    os._exit(0)


def _watch(line: socket.socket) -> None:
    while line.recv(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]))
