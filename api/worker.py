"""The worker process of a service: does what is due by itself, ends when told or left alone.

Started as `python -m api.loading api.worker CONTROL` by api/serve.py, with one inherited descriptor.
"""

from __future__ import annotations

import os
import signal
import sys

from api.jobs import make_jobs
from api.lifeline import Lifeline
from api.logs import set_up_logs
from api.schedule import Schedule
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
    line = Lifeline(control)
    line.watch()
    schedule.start()
    line.tell_ready()
    schedule.wait()
    schedule.join(_LAST_SECONDS)
    sys.stderr.flush()
    # A job in the middle of a call that cannot be broken off has no say any more.
    os._exit(0)
