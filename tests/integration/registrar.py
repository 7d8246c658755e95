"""A process of its own that issues certificates one after the other, revokes every fourth, and signs a CRL after each revocation.

`python registrar.py COUNT`, in a home given by the environment; prints a serial a line as soon as it is issued.
"""

from __future__ import annotations

import os
import sys

from api.wiring import open_installation
from pki.crl import CrlDeps, sign_crl
from pki.revocation import revoke
from pki.roles import owner
from tests.integration.officers import issue_officers

_ACTOR = owner("registrar")


def main() -> int:
    with open_installation(os.environ) as installation:
        issuing = installation.issuing()
        for number, record in enumerate(issue_officers(int(sys.argv[1]), _ACTOR, issuing)):
            sys.stdout.write(record.serial + "\n")
            sys.stdout.flush()
            if number % 4 == 0:
                revoke(record.serial, "superseded", _ACTOR, installation.revocation)
                sign_crl(issuing.issuer, _ACTOR, CrlDeps(installation.database, installation.clock))
    return 0


if __name__ == "__main__":
    sys.exit(main())
