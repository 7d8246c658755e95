"""A process of its own that issues certificates and revokes them, and signs no list: that is left to whoever serves.

`python revoker.py COUNT REASON`, in a home given by the environment; prints serial and partition (0: the full list) of each.
"""

from __future__ import annotations

import os
import sys

from cryptography.hazmat.primitives.asymmetric import ec

from api.wiring import open_installation
from certs.names import parse_subject
from hsm.spec import spki_der
from pki.issuance import IssuanceRequest, issue
from pki.revocation import revoke
from pki.roles import owner

_ACTOR = owner("revoker")


def main() -> int:
    with open_installation(os.environ) as installation:
        issuing = installation.issuing()
        for number in range(int(sys.argv[1])):
            key = spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
            subject = parse_subject(f"CN=Nguyễn Văn {os.getpid()}-{number},T=Chuyên viên,O=Sở Thử nghiệm,C=VN")
            record = issue(IssuanceRequest("officer", subject, key), _ACTOR, issuing)
            revoke(record.serial, sys.argv[2], _ACTOR, installation.revocation)
            sys.stdout.write(f"{record.serial} {record.crl_shard or 0}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
