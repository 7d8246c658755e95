"""A time-stamp request, read strictly from DER, and made (RFC 3161 2.4.1). Answering is for authority.py."""

from __future__ import annotations

from dataclasses import dataclass

from hsm import der
from hsm.der import Reader
from pki.schemes import DIGEST_OIDS, NULL
from pki.tsa.failure import Failure, RequestRefused

# An imprint, a policy, a nonce: 150 octets. Extensions may take some more.
MOST_OCTETS = 8192
_LONGEST_NONCE = 64
_DIGESTS = {der.oid(dotted)[2:]: name for name, dotted in DIGEST_OIDS.items()}
_LENGTHS = {"sha256": 32, "sha384": 48, "sha512": 64}


@dataclass(frozen=True)
class TimeStampRequest:
    """What is to be stamped. `imprint` is the MessageImprint in our own encoding; `policy` the content of an OID, or None."""

    imprint: bytes
    policy: bytes | None
    nonce: int | None
    wants_certificates: bool


def parse_request(data: bytes) -> TimeStampRequest:
    """Read a request; RequestRefused with the failInfo of RFC 3161 2.4.2 for whatever will not be stamped."""
    if len(data) > MOST_OCTETS:
        raise RequestRefused(Failure.BAD_DATA_FORMAT, "the request is too long")
    try:
        outer = Reader(data)
        request = outer.enter()
        outer.end()
        version = request.integer()
        algorithm, parameters, hashed = _parse_imprint(request.enter())
        policy = request.take(der.OID) if request.next_is(der.OID) else None
        nonce = request.integer() if request.next_is(der.INTEGER) else None
        # DER leaves the DEFAULT out; FALSE written out is read all the same, because clients write it.
        wants_certificates = request.next_is(der.BOOLEAN) and request.take(der.BOOLEAN) != b"\0"
        extensions = request.enter(0xA0) if request.next_is(0xA0) else None
        request.end()
    except ValueError as error:
        raise RequestRefused(Failure.BAD_DATA_FORMAT, str(error)) from error
    if version != 1:
        raise RequestRefused(Failure.BAD_REQUEST, f"version {version}")
    name = _DIGESTS.get(algorithm)
    if name is None or parameters not in (b"", NULL):
        raise RequestRefused(Failure.BAD_ALG, "the imprint's digest is not SHA-256, SHA-384 or SHA-512")
    if len(hashed) != _LENGTHS[name]:
        # RFC 3161 2.4.1: the length must match the digest; 2.2 item 1 has the server check it.
        raise RequestRefused(Failure.BAD_DATA_FORMAT, f"an imprint of {len(hashed)} octets for {name}")
    if nonce is not None and len(der.integer(nonce)) > _LONGEST_NONCE + 2:
        raise RequestRefused(Failure.BAD_REQUEST, "the nonce is too long")
    _check_extensions(extensions)
    # RFC 3161 2.4.2: the imprint of the token equals the request's, so NULL parameters come back when they were there.
    imprint = der.sequence(der.sequence(der.tlv(der.OID, algorithm), parameters), der.octets(hashed))
    return TimeStampRequest(imprint, policy, nonce, wants_certificates)


def build_request(digest: str, hashed: bytes, *, nonce: int | None = None, wants_certificates: bool = True) -> bytes:
    """A request in DER, for a time-stamping authority of ours or of somebody else."""
    return der.sequence(
        der.integer(1),
        der.sequence(der.algorithm(DIGEST_OIDS[digest]), der.octets(hashed)),
        b"" if nonce is None else der.integer(nonce),
        der.tlv(der.BOOLEAN, b"\xff") if wants_certificates else b"",
    )


def _parse_imprint(imprint: Reader) -> tuple[bytes, bytes, bytes]:
    """Content of the digest's OID, its parameters as they stand, and the hash."""
    algorithm = imprint.enter()
    oid = algorithm.take(der.OID)
    parameters = b""
    if not algorithm.is_empty:
        parameters = der.tlv(der.NULL, algorithm.take(der.NULL)) if algorithm.next_is(der.NULL) else b"?"
        if parameters != b"?":
            algorithm.end()
    hashed = imprint.take(der.OCTET_STRING)
    imprint.end()
    return oid, parameters, hashed


def _check_extensions(extensions: Reader | None) -> None:
    """RFC 3161 2.4.1: an extension that is not understood, critical or not, is not to be ignored silently."""
    if extensions is None:
        return
    try:
        while not extensions.is_empty:
            extension = extensions.enter()
            extension.take(der.OID)
            if extension.next_is(der.BOOLEAN):
                extension.take(der.BOOLEAN)
            extension.take(der.OCTET_STRING)
            extension.end()
            raise RequestRefused(Failure.UNACCEPTED_EXTENSION, "no extension is understood")
    except ValueError as error:
        raise RequestRefused(Failure.BAD_DATA_FORMAT, str(error)) from error
