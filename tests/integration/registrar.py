"""A process of its own that issues certificates one after the other, revokes every fourth, and signs a CRL after each revocation.

`python registrar.py COUNT`, in a home given by the environment; prints a serial a line as soon as it is issued.
"""

from __future__ import annotations

import os
import sys

from cryptography.hazmat.primitives.asymmetric import ec

from api.wiring import open_installation
from certs.names import parse_subject
from hsm.spec import spki_der
from pki.crl import CrlDeps, sign_crl
from pki.issuance import IssuanceRequest, issue
from pki.revocation import revoke
from pki.roles import owner

_ACTOR = owner("registrar")


def main() -> int:
    with open_installation(os.environ) as installation:
        issuing = installation.issuing()
        for number in range(int(sys.argv[1])):
            key = spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
            subject = parse_subject(f"CN=Nguyễn Văn {os.getpid()}-{number},T=Chuyên viên,O=Sở Thử nghiệm,C=VN")
            record = issue(IssuanceRequest("officer", subject, key), _ACTOR, issuing)
            sys.stdout.write(record.serial + "\n")
            sys.stdout.flush()
            if number % 4 == 0:
                revoke(record.serial, "superseded", _ACTOR, installation.revocation)
                sign_crl(issuing.issuer, _ACTOR, CrlDeps(installation.database, installation.clock))
    return 0


if __name__ == "__main__":
    sys.exit(main())
