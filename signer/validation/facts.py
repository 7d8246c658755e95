"""Facts about a file, as data: what the judge process found, before anybody judges it. Quick to import; JSON both ways.

The reading side trusts nothing: whatever does not fit the types is refused, because a judge process may have been taken.
"""

from __future__ import annotations

import base64
import dataclasses
import types
import typing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

from signer.password import NO_PASSWORD, Password
from signer.validation.content import Content
from signer.validation.errors import FactsUnreadable

Source = Literal["embedded", "given", "cached", "local", "fetched"]
Trust = Literal["government", "public", "internal", "foreign", "training", "unknown"]
TRUST_KINDS: tuple[Trust, ...] = typing.get_args(Trust)


@dataclass(frozen=True)
class TrustAnchor:
    """A certificate that is trusted because somebody said so, and the tree it stands for. `stamps_only`: for time-stamps alone."""

    der: bytes
    kind: Trust
    stamps_only: bool = False


@dataclass(frozen=True)
class ValidationInputs:
    """What the judge may lean on besides the file: anchors, further certificates, revocation lists, the time in question, a password."""

    at: datetime
    anchors: tuple[TrustAnchor, ...] = ()
    intermediates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    password: Password = NO_PASSWORD
    # What a signature or time-stamp in a file of its own was made over, where it was given.
    content: Content | None = None

    def to_message(self) -> tuple[dict[str, Any], list[bytes]]:
        """Header and blobs for the judge process: anchors first, then intermediates, then revocation lists."""
        header = {
            "at": self.at.isoformat(),
            "kinds": [anchor.kind for anchor in self.anchors],
            "stamps_only": [anchor.stamps_only for anchor in self.anchors],
            "intermediates": len(self.intermediates),
            "password": self.password.text,
            "content": None if self.content is None else self.content.to_message(),
        }
        return header, [*(anchor.der for anchor in self.anchors), *self.intermediates, *self.crls]

    @classmethod
    def from_message(cls, header: dict[str, Any], blobs: list[bytes]) -> ValidationInputs:
        kinds = header["kinds"]
        first, second = len(kinds), len(kinds) + int(header["intermediates"])
        return cls(
            at=datetime.fromisoformat(header["at"]),
            anchors=tuple(map(TrustAnchor, blobs[:first], kinds, header["stamps_only"])),
            intermediates=tuple(blobs[first:second]),
            crls=tuple(blobs[second:]),
            password=Password(str(header["password"])),
            content=None if header["content"] is None else Content.from_message(header["content"]),
        )


@dataclass(frozen=True)
class CrlFacts:
    """What one revocation list or OCSP answer, whose signer was checked, says about one certificate.

    `source`: where it was found: in the file itself, given with the call, kept from an earlier question, brought to this home, or
    asked for now. `digest`: under its signature; None for algorithms that name none.
    """

    this_update: datetime
    next_update: datetime | None
    revoked_at: datetime | None
    reason: str | None
    source: Source = "given"
    kind: Literal["crl", "ocsp"] = "crl"
    digest: str | None = None

    @property
    def embedded(self) -> bool:
        return self.source == "embedded"


@dataclass(frozen=True)
class CertificateFacts:
    """What stands in a certificate. Texts are cleaned for display; `der` (base64) and `sha256` are exact."""

    sha256: str
    subject: str
    common_name: str | None
    organization: str | None
    serial: str
    issuer: str
    not_before: datetime
    not_after: datetime
    key_type: str
    key_bits: int
    signature_hash: str | None
    key_usage: tuple[str, ...] | None
    der: str
    crls: tuple[CrlFacts, ...] = ()
    extended_key_usage: tuple[str, ...] | None = None
    extended_key_usage_critical: bool = False
    # Where its state can be asked for (RFC 5280 4.2.2.1, 4.2.1.13); http alone.
    ocsp_addresses: tuple[str, ...] = ()
    crl_addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class PathFacts:
    """The chain to an anchor: signer first, anchor left out. `problem` names a rule of RFC 5280 6.1 that it breaks."""

    kind: Trust
    anchor_sha256: str
    certificates: tuple[CertificateFacts, ...]
    problem: str = ""

    @property
    def is_proved(self) -> bool:
        """Whether the file's own store says something of every certificate."""
        return all(any(each.embedded for each in one.crls) for one in self.certificates)


@dataclass(frozen=True)
class ChangeFacts:
    """One thing that came after the signature."""

    kind: Literal["signature", "timestamp", "field", "annotation", "description", "validation-data", "forbidden"]
    page: int | None
    text: str


@dataclass(frozen=True)
class TokenFacts:
    """Everything found about one time-stamp token, wherever it stands. `digest_ok` is about the imprint and the attributes."""

    problem: str = ""
    digest_ok: bool | None = None
    signature_ok: bool | None = None
    ess: Literal["ok", "absent", "mismatch"] = "absent"
    digest_algorithm: str | None = None
    signature_algorithm: str | None = None
    pairing_ok: bool = True
    time: datetime | None = None
    signer: CertificateFacts | None = None
    path: PathFacts | None = None


@dataclass(frozen=True)
class SignatureFacts:
    """Everything found about one signature or document timestamp; None where it could not be found out."""

    field: str
    type: Literal["signature", "timestamp", "countersignature"]
    subfilter: str
    findings: tuple[str, ...] = ()
    problem: str = ""
    lenient: bool = False
    digest_ok: bool | None = None
    signature_ok: bool | None = None
    ess: Literal["ok", "absent", "mismatch"] = "absent"
    coverage: Literal["whole-file", "earlier-revision", "partial"] = "partial"
    changes_after: Literal["none", "permitted", "forbidden", "unknown"] = "unknown"
    changes: tuple[ChangeFacts, ...] = ()
    docmdp: int | None = None
    level: str = ""
    digest_algorithm: str | None = None
    signature_algorithm: str | None = None
    pairing_ok: bool = True
    claimed_time: datetime | None = None
    signer: CertificateFacts | None = None
    path: PathFacts | None = None
    revision_end: int | None = None
    revision_sha256: str | None = None
    # The signature time-stamps among the unsigned attributes (EN 319 122-1 5.3).
    timestamps: tuple[TokenFacts, ...] = ()
    # The baseline level that the embedded proofs would make (signer/levels.py), and SHA-1 of /Contents: a name in the store's VRI.
    reached: str = "B-B"
    contents_sha1: str | None = None


@dataclass(frozen=True)
class FileFacts:
    """Everything found about one file. `unreadable` is a reason code or empty."""

    sha256: str
    size: int
    format: Literal["PDF", "CMS", "RFC3161", "X.509"] | None = None
    unreadable: str = ""
    encrypted: bool = False
    lenient: bool = False
    revisions: int = 0
    signatures: tuple[SignatureFacts, ...] = field(default_factory=tuple)
    # What holds no signature by its kind, and what a bare certificate is.
    bare: Literal["certificate", "certificates", "timestamp"] | None = None
    certificate: CertificateFacts | None = None
    certificate_path: PathFacts | None = None
    # Digests of a content beside the file that its signatures name and that were not given.
    wanted_digests: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        encoded: dict[str, Any] = encode(self)
        return encoded

    @classmethod
    def from_json(cls, data: object) -> FileFacts:
        """Raises FactsUnreadable for anything that is not exactly these facts."""
        built = decode(cls, data)
        assert isinstance(built, cls)
        return built

    def certificate_hashes(self) -> list[str]:
        """SHA-256 of every certificate along the paths of signatures and time-stamps, each once."""
        paths = [self.certificate_path, *(signature.path for signature in self.signatures)]
        paths += [token.path for signature in self.signatures for token in signature.timestamps]
        return list(dict.fromkeys(one.sha256 for path in paths if path is not None for one in path.certificates))

    def revision_hashes(self) -> list[str]:
        """SHA-256 of the file and of every signed revision, each once: what a register can be asked for."""
        hashes = [self.sha256, *(s.revision_sha256 for s in self.signatures if s.revision_sha256)]
        return list(dict.fromkeys(hashes))


def base64_octets(text: str) -> bytes:
    return base64.b64decode(text)


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def encode(value: Any) -> Any:
    """Facts as plain JSON values."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if dataclasses.is_dataclass(value):
        return {name: encode(item) for name, item in vars(value).items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


@cache
def _types_of(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def decode(kind: Any, data: object) -> Any:
    """A value of exactly this type from JSON values; FactsUnreadable otherwise."""
    if dataclasses.is_dataclass(kind):
        hints = _types_of(typing.cast("type", kind))
        if not isinstance(data, dict) or set(data) != set(hints):
            raise FactsUnreadable("the judge's facts do not have the expected names")
        return typing.cast("Any", kind)(**{name: decode(hint, data[name]) for name, hint in hints.items()})
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        if data is None:
            return None
        return decode(next(option for option in typing.get_args(kind) if option is not types.NoneType), data)
    if origin is Literal:
        if data not in typing.get_args(kind):
            raise FactsUnreadable("the judge's facts hold a word that is not of the list")
        return data
    if origin is tuple:
        if not isinstance(data, list):
            raise FactsUnreadable("the judge's facts hold no list where one belongs")
        return tuple(decode(typing.get_args(kind)[0], item) for item in data)
    if kind is datetime:
        try:
            return datetime.fromisoformat(str(data)).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise FactsUnreadable("the judge's facts hold no time where one belongs") from error
    if type(data) is not kind:
        raise FactsUnreadable("the judge's facts hold a value of another type")
    return data
