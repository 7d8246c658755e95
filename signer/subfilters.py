"""The forms of a signature and the /SubFilter of each (ISO 32000-2 12.8.3): PAdES, and the older one for viewers that know nothing else."""

from __future__ import annotations

PADES, PKCS7 = "pades", "pkcs7"
SUBFILTERS = {PADES: "ETSI.CAdES.detached", PKCS7: "adbe.pkcs7.detached"}
