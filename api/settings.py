"""The settings of a home: `antin.toml`, then `ANTIN_<SECTION>__<NAME>` from the environment, which wins."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from api.setting_rules import OBJECT_IDENTIFIER, at_least, is_web_address, refuse_value
from api.tsa_settings import TsaSettings
from certs.errors import TableKeyUnknown, TableUnreadable, TableValueWrong
from certs.strict import nearest, parse_text, parse_toml, read_table
from hsm.spec import KeySpec
from pki.approval_rules import DEFAULT_DAYS, Act
from signer.findings import DECISIONS, IGNORE, KINDS, REFUSE, WARN, FindingsPolicy
from signer.levels import LEVELS
from signer.office_policy import CODE_WISHES
from signer.subfilters import PADES, SUBFILTERS
from signer.validation.rules import DEFAULT_POLICY, SHIPPED

# Not decided by a setting, but by the dated policy.
POLICY = "policy"
PREFIX = "ANTIN_"
# Variables of the same prefix that are not settings: where the home is, the language, who acts, and what demo and tests read.
NOT_SETTINGS = {"ANTIN_HOME", "ANTIN_LANG", "ANTIN_DEMO_DOCUMENTS", "ANTIN_TEST_CORPUS", "ANTIN_ACTOR_TOKEN_FILE"}

# A PIN that was opened for us: standard input, output and error are none.
DESCRIPTOR = "fd:"
_DESCRIPTOR_NAME = re.compile(r"fd:(?:[3-9]|[1-9][0-9]{1,5})")
_LABEL_OCTETS = 32


@dataclass(frozen=True)
class DatabaseSettings:
    """Where rows live. An empty url is the SQLite file of the home."""

    url: str = ""
    busy_seconds: float = 5.0

    def __post_init__(self) -> None:
        at_least("database.busy_seconds", self.busy_seconds, 0)


@dataclass(frozen=True)
class HsmSettings:
    """The PKCS#11 token and the process that holds it. Empty module and pin_file: SoftHSM and the PIN under the home.

    `pin_file` is a path, or `fd:N` for a file that was opened for us. A call that takes `hang_seconds` counts as hanging
    and costs the token process its life; idle sessions are touched every `keep_alive_seconds`. So many token `processes`
    share `max_sessions` under `antin serve`; 0: two, or one where there is one processor.
    """

    module: str = ""
    token_label: str = "antin"  # noqa: S105  a name, not a secret
    pin_file: str = ""
    max_sessions: int = 8
    wait_seconds: float = 10.0
    hang_seconds: float = 20.0
    keep_alive_seconds: float = 10.0
    max_connections: int = 128
    processes: int = 0

    def __post_init__(self) -> None:
        # PKCS#11 v3.0, 4.4.1: a token's label has 32 octets.
        if not 1 <= len(self.token_label.encode()) <= _LABEL_OCTETS:
            refuse_value("hsm.token_label", f"a label of 1 to {_LABEL_OCTETS} octets", self.token_label)
        if self.pin_file.startswith(DESCRIPTOR) and not _DESCRIPTOR_NAME.fullmatch(self.pin_file):
            refuse_value("hsm.pin_file", "a path, or fd:N with N from 3 on", self.pin_file)
        at_least("hsm.max_sessions", self.max_sessions, 1)
        at_least("hsm.wait_seconds", self.wait_seconds, 0)
        # Making an RSA key takes a slow token seconds: with less, honest work would look like hanging.
        at_least("hsm.hang_seconds", self.hang_seconds, 1)
        at_least("hsm.keep_alive_seconds", self.keep_alive_seconds, 1)
        at_least("hsm.max_connections", self.max_connections, 1)
        at_least("hsm.processes", self.processes, 0)

    @property
    def token_processes(self) -> int:
        """How many there are: none without a session of its own."""
        return min(self.processes or min(2, os.cpu_count() or 1), self.max_sessions)

    def pin_descriptor(self) -> int | None:
        """The number of the open file that holds the PIN, where it is one."""
        return int(self.pin_file.removeprefix(DESCRIPTOR)) if self.pin_file.startswith(DESCRIPTOR) else None


@dataclass(frozen=True)
class HttpSettings:
    """What the outside calls us; goes into certificates (AIA, CRL distribution point)."""

    public_url: str = "http://127.0.0.1:8080"

    def __post_init__(self) -> None:
        if not self.public_url.startswith(("http://", "https://")) or self.public_url.endswith("/"):
            refuse_value("http.public_url", "http://… or https://… without a slash at its end", self.public_url)


@dataclass(frozen=True)
class CertificateSettings:
    """What certificates say of this installation.

    `policy` names the document by which they are issued. There is no default: an identifier that nobody wrote a document
    for would promise what nobody keeps. Without one, certificates name no policy.
    """

    policy: str = ""

    def __post_init__(self) -> None:
        known = OBJECT_IDENTIFIER.fullmatch(self.policy)
        # Many readers, pkilint among them, keep an arc in 32 bits; identifiers made from UUIDs have one of 128.
        if self.policy and (not known or any(int(arc) >= 1 << 32 for arc in self.policy.split("."))):
            expected = "an object identifier like 1.3.6.1.4.1.99999.1 with numbers below 2^32, or empty"
            refuse_value("certificates.policy", expected, self.policy)


@dataclass(frozen=True)
class SignSettings:
    """How documents are signed. `preparers`: how many processes place stamps when many documents are signed at once."""

    level: str = "B-B"
    rsa_padding: str = "pss"
    subfilter: str = PADES
    prepared_hours: int = 72
    font: str = "/usr/share/fonts/truetype/croscore/Tinos-Regular.ttf"
    # For Hangul; its bold letters in a file beside it, with Bold at the end of its name.
    korean_font: str = "/usr/share/fonts/truetype/nanum/NanumMyeongjo.ttf"
    # Where the fonts of all other scripts are looked for by their names.
    font_folders: tuple[str, ...] = ("/usr/share/fonts/truetype/noto", "/usr/share/fonts/truetype/droid")
    max_bytes: int = 2000 * 1024 * 1024
    seal_diameter_mm: float = 36.0
    preparers: int = 2
    # What becomes of what is found in a file before it is signed, and kinds that it is otherwise for.
    findings: str = WARN
    findings_refused: tuple[str, ...] = ()
    findings_ignored: tuple[str, ...] = ()
    # Long rows of documents are looked through too; where something is refused they always are.
    findings_in_batches: bool = False
    # Whether the lookup code and its QR are drawn on documents: as the policy of offices has it, or as said here.
    code: str = POLICY

    def __post_init__(self) -> None:
        for name in ("findings_refused", "findings_ignored"):
            for kind in getattr(self, name):
                if kind not in KINDS:
                    refuse_value(f"sign.{name}", ", ".join(KINDS), kind)
        choices = (
            ("level", LEVELS), ("rsa_padding", ("pss", "pkcs1v15")), ("subfilter", SUBFILTERS), ("findings", DECISIONS),
            ("code", (POLICY, *CODE_WISHES)),
        )  # fmt: skip
        for name, valid in choices:
            if getattr(self, name) not in valid:
                refuse_value(f"sign.{name}", ", ".join(valid), getattr(self, name))
        at_least("sign.prepared_hours", self.prepared_hours, 1)
        at_least("sign.max_bytes", self.max_bytes, 1)
        at_least("sign.preparers", self.preparers, 1)
        if not 20 <= self.seal_diameter_mm <= 60:
            refuse_value("sign.seal_diameter_mm", "between 20 and 60", self.seal_diameter_mm)

    def findings_policy(self) -> FindingsPolicy:
        """What becomes of what is found in a file."""
        kinds = dict.fromkeys(self.findings_ignored, IGNORE) | dict.fromkeys(self.findings_refused, REFUSE)
        return FindingsPolicy(self.findings, kinds)


@dataclass(frozen=True)
class KeySettings:
    """Kinds of the keys that `init` and `cert issue` make; `service` are the OCSP responder's and the TSA's."""

    root: str = "p-384"
    issuing: str = "p-256"
    credential: str = "p-256"
    service: str = "p-256"

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value not in set(KeySpec):
                refuse_value(f"keys.{name}", ", ".join(KeySpec), value)


@dataclass(frozen=True)
class ValidationSettings:
    """How files are judged.

    `fetch` allows to ask for OCSP answers and CRLs at the addresses in strangers' certificates, when a file is judged or raised to a
    level that needs them. `fetch_private` also where such an address leads into a private network. `fetch_seconds` is for one
    question, `fetch_total_seconds` and `fetch_exchanges` for all questions that one file costs when it is judged. `policy` is the name
    of the policy that holds without a word, and `policy_file` one more beside those of the package, its path meant from the home.
    `memory_mb` and `seconds` are for judging a file (with a moment to end its process, ten seconds), `prepare_…` for preparing one.
    """

    fetch: bool = False
    fetch_private: bool = False
    fetch_seconds: float = 10.0
    fetch_total_seconds: float = 20.0
    fetch_exchanges: int = 20
    policy: str = DEFAULT_POLICY
    policy_file: str = ""
    memory_mb: int = 512
    seconds: float = 9.0
    prepare_memory_mb: int = 1536
    prepare_seconds: float = 30.0
    max_bytes: int = 2000 * 1024 * 1024

    def __post_init__(self) -> None:
        # With less the judge process cannot load its libraries, and every file would look damaged.
        for kind in ("", "prepare_"):
            at_least(f"validation.{kind}memory_mb", getattr(self, f"{kind}memory_mb"), 256)
            at_least(f"validation.{kind}seconds", getattr(self, f"{kind}seconds"), 1)
        at_least("validation.max_bytes", self.max_bytes, 1)
        bounds = {"fetch_seconds": (0.1, 120), "fetch_total_seconds": (0.1, 600), "fetch_exchanges": (0, 1000)}
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                refuse_value(f"validation.{name}", f"between {least} and {most}", getattr(self, name))
        if not self.policy_file and self.policy not in SHIPPED:
            refuse_value(
                "validation.policy", f"{', '.join(SHIPPED)}, or the name in validation.policy_file", self.policy
            )


@dataclass(frozen=True)
class WebSettings:
    """The HTTP service. Rates are for one client (a token, or an address without one) in one web process."""

    workers: int = 2
    judges: int = 2
    signing_threads: int = 3
    max_upload_mb: int = 50
    max_batch_mb: int = 200
    max_batch_documents: int = 500
    upload_seconds: float = 60.0
    anonymous_per_second: float = 20.0
    token_per_second: float = 500.0
    # Addresses of reverse proxies whose X-Forwarded-Proto and X-Forwarded-For are believed.
    trusted_proxies: tuple[str, ...] = ()
    public_metrics: bool = False

    def __post_init__(self) -> None:
        rates = ("upload_seconds", "anonymous_per_second", "token_per_second")
        for name in ("workers", "judges", "signing_threads", "max_upload_mb", *rates):
            at_least(f"web.{name}", getattr(self, name), 1)
        for address in self.trusted_proxies:
            try:
                ipaddress.ip_network(address)
            except ValueError:
                refuse_value("web.trusted_proxies", "addresses or networks like 10.0.0.1, 10.0.0.0/24", address)


@dataclass(frozen=True)
class CrlSettings:
    """Revocation lists. A change waits `delay_seconds` for others before a list says it, a compromised key never.

    `delta_hours` 0: no delta lists. `deltas_in_certificates`: new certificates say where the delta is (freshestCRL).
    `keep_expired`: revoked certificates stay on the lists after their end, and the lists say so (expiredCertsOnCRL).
    """

    days: float = 7.0
    root_days: float = 90.0
    delta_hours: float = 24.0
    delay_seconds: float = 2.0
    deltas_in_certificates: bool = False
    keep_expired: bool = False

    def __post_init__(self) -> None:
        for name in ("days", "root_days"):
            if not 1 <= getattr(self, name) <= 3650:
                refuse_value(f"crl.{name}", "between 1 and 3650", getattr(self, name))
        if self.delta_hours and not 1 <= self.delta_hours <= 24 * self.days:
            refuse_value("crl.delta_hours", "0, or from 1 to the life of a list", self.delta_hours)
        if not 0 <= self.delay_seconds <= 3600:
            refuse_value("crl.delay_seconds", "between 0 and 3600", self.delay_seconds)
        if self.deltas_in_certificates and not self.delta_hours:
            refuse_value("crl.deltas_in_certificates", "false while crl.delta_hours is 0", "true")


@dataclass(frozen=True)
class NoticeSettings:
    """Notices of certificates that end soon: at how many days before, besides at the end, and where they are posted to.

    What is posted is signed with the content of `webhook_secret_file`, whose path is meant from the home. `webhook_seconds` is how
    long the receiver may take for each step of an answer.
    """

    days: tuple[int, ...] = (90, 30, 7, 1)
    webhook: str = ""
    webhook_secret_file: str = ""
    webhook_seconds: float = 10.0

    def __post_init__(self) -> None:
        if len(set(self.days)) != len(self.days) or not all(1 <= each <= 3650 for each in self.days):
            refuse_value("notices.days", "different numbers of days from 1 to 3650", list(self.days))
        if self.webhook and not is_web_address(self.webhook):
            refuse_value(
                "notices.webhook", "https://… or http://… without a name or password before the host", "another"
            )
        if self.webhook and not self.webhook_secret_file:
            refuse_value("notices.webhook_secret_file", "a file with the secret that notices are signed with", "none")
        if not 1 <= self.webhook_seconds <= 60:
            refuse_value("notices.webhook_seconds", "between 1 and 60", self.webhook_seconds)


@dataclass(frozen=True)
class ApprovalSettings:
    """What waits for a second person, besides what profiles ask: certificates of these profiles, and these acts."""

    profiles: tuple[str, ...] = ()
    acts: tuple[Act, ...] = ()
    days: int = DEFAULT_DAYS

    def __post_init__(self) -> None:
        if not 1 <= self.days <= LONGEST_APPROVAL_DAYS:
            refuse_value("approvals.days", f"between 1 and {LONGEST_APPROVAL_DAYS}", self.days)


# An age recipient (X25519) in Bech32, whose alphabet lacks 1, b, i and o.
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")


@dataclass(frozen=True)
class BackupSettings:
    """To whom `antin backup create` encrypts: the public half of a recovery key, as `antin backup keygen` prints it."""

    recipient: str = ""

    def __post_init__(self) -> None:
        if self.recipient and not _RECIPIENT.fullmatch(self.recipient):
            refuse_value("backup.recipient", "a recipient like age1… as antin backup keygen prints it", "another text")


# What was approved half a year ago was approved in another world.
LONGEST_APPROVAL_DAYS = 180


@dataclass(frozen=True)
class PrintSettings:
    """What prints of documents say: the system's name, its owner (empty: whom the root names), where they are made if nobody says it."""

    system: str = "Antin"
    owner: str = ""
    place: str = ""


@dataclass(frozen=True)
class RegistrationSettings:
    """Profiles whose certificates are issued by a confirmed registration only."""

    required: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. A section is a table of `antin.toml`."""

    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    hsm: HsmSettings = field(default_factory=HsmSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    keys: KeySettings = field(default_factory=KeySettings)
    sign: SignSettings = field(default_factory=SignSettings)
    tsa: TsaSettings = field(default_factory=TsaSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    web: WebSettings = field(default_factory=WebSettings)
    approvals: ApprovalSettings = field(default_factory=ApprovalSettings)
    crl: CrlSettings = field(default_factory=CrlSettings)
    registration: RegistrationSettings = field(default_factory=RegistrationSettings)
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    print: PrintSettings = field(default_factory=PrintSettings)


def _sections() -> dict[str, type]:
    hints = typing.get_type_hints(Settings)
    return {each.name: hints[each.name] for each in dataclasses.fields(Settings)}


def _valid_variables() -> dict[str, tuple[str, str, object]]:
    """Every environment name that is a setting, to its section, key and type."""
    names = {}
    for section, cls in _sections().items():
        for name, hint in typing.get_type_hints(cls).items():
            names[f"{PREFIX}{section.upper()}__{name.upper()}"] = (section, name, hint)
    return names


_PATHS = {
    "ANTIN_HSM__MODULE", "ANTIN_HSM__PIN_FILE", "ANTIN_SIGN__FONT", "ANTIN_NOTICES__WEBHOOK_SECRET_FILE",
}  # fmt: skip


def load_settings(file: Path, environment: Mapping[str, str]) -> Settings:
    """Read the settings; raise a TableError that names the offending key, and the nearest valid one."""
    try:
        text = file.read_text("utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise TableUnreadable(f"{file}: {error}", where=file.name, problem=str(error)) from error
    table = parse_toml(text, file.name)
    valid = _valid_variables()
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        if variable not in valid:
            raise TableKeyUnknown(
                f"unknown setting {variable}", where="the environment", key=variable,
                nearest=nearest(variable, [*valid, *NOT_SETTINGS]), valid=", ".join(valid),
            )  # fmt: skip
        section, name, hint = valid[variable]
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise TableValueWrong(
                f"{section} should be a table", where=file.name, key=section, expected="a table", found="a value"
            )
        # A path typed in a shell is meant from there; one in the file, from the home.
        is_path = variable in _PATHS and value and not value.startswith(DESCRIPTOR)
        text = str(Path(value).absolute()) if is_path else value
        inner[name] = parse_text(hint, text, "the environment", variable)
    return read_table(Settings, table, file.name)
