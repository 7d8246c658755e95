"""A process of its own that issues certificates and revokes them, and signs no list: that is left to whoever serves.

`python revoker.py COUNT REASON`, in a home given by the environment; prints serial and partition (0: the full list) of each.
"""

from __future__ import annotations

import os
import sys

from api.wiring import open_installation
from pki.revocation import revoke
from pki.roles import owner
from tests.integration.officers import issue_officers

_ACTOR = owner("revoker")


def main() -> int:
    with open_installation(os.environ) as installation:
        for record in issue_officers(int(sys.argv[1]), _ACTOR, installation.issuing()):
            revoke(record.serial, sys.argv[2], _ACTOR, installation.revocation)
            sys.stdout.write(f"{record.serial} {record.crl_shard or 0}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
