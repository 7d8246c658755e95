import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.softhsm import new_token

REPOSITORY = Path(__file__).parents[2]
THREADS, SIGNATURES = 8, 2000


@pytest.mark.slow
def test_eight_threads_sign_two_thousand_times_each_and_nothing_breaks():
    token = new_token()
    done = subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "tests/integration/hsm_soak.py"),
            str(token.module_path),
            token.label,
            str(token.pin_file),
            str(THREADS),
            str(SIGNATURES),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONFAULTHANDLER": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"p-256": 15200, "rsa-2048": 800, "state": "ok", "sessions": 9}
