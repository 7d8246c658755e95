"""Founds a home: token, database, authorities, published files; run again, it finishes what is missing and changes nothing else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from api.ahead import judge_limits
from api.demo.pictures import draw_seal, draw_signature
from api.demo.texts_vi import AGENCY_NAME, OFFICER, POSITION
from api.errors import UsageError
from api.home import Home
from api.keys import module_path, token_surroundings
from api.migrations.runner import upgrade
from api.publishing import publish
from api.service_upkeep import make_services
from api.settings import HttpSettings, Settings, load_settings
from api.wiring import Installation, locate
from certs.catalogue import read_catalogue
from certs.clock import SystemClock
from certs.errors import TableValueWrong
from certs.names import SubjectName, parse_subject, subject_name
from certs.training import TRAINING_UNIT
from hsm.softhsm import NewToken, configuration, ensure_token
from hsm.spec import KeySpec
from pki.approval_rules import ApprovalRules
from pki.audit import Actor
from pki.authorities import AuthorityState, find_authority, get_authority
from pki.ceremony import CeremonyDeps, create_issuing, create_root
from pki.roles import Permission, require
from signer.appearance.errors import FontMissing
from signer.appearance.image_rules import Purpose
from signer.credentials import credential_exists
from signer.enrolment import EnrolmentDeps, EnrolmentRequest, enrol
from signer.image_registry import SIGNATURE_MM, NewImage, found_image
from signer.planning import DRAWN_STYLES
from signer.sandbox import Judge
from signer.storage import write_once

# The organisation of the authorities when nobody names one.
NO_AGENCY = "Antin"
DEMO_TAX_CODE = "MST:0000000000"
_PIN_OCTETS = 16


@dataclass(frozen=True)
class Wish:
    """What `antin init` was asked for."""

    demo: bool = False
    agency: str | None = None
    public_url: str | None = None
    # For practice alone, and for ever: the chain itself says so.
    training: bool = False


def found(wish: Wish, environment: Mapping[str, str], actor: Actor) -> tuple[Installation, bool]:
    """Make or finish the home; the open installation, and whether it was made now. Errors leave what can be finished later."""
    require(actor, Permission.CREATE_AUTHORITY)
    home, settings = locate(environment)
    fresh = not home.exists()
    if wish.demo and wish.agency:
        raise UsageError("DEMO_HAS_ITS_AGENCY", agency=AGENCY_NAME)
    if wish.agency is not None and not wish.agency.strip():
        raise UsageError("AGENCY_EMPTY")  # a variable of a script that nobody set: the name would stay for ever
    if wish.public_url is not None:
        url = _checked_url(wish.public_url)
        if not fresh and url != settings.http.public_url:
            raise UsageError("PUBLIC_URL_FIXED", url=settings.http.public_url)
        settings = load_settings(home.settings_file, {**environment, "ANTIN_HTTP__PUBLIC_URL": url})
    _make_folders(home)
    with _only_one(home):
        if fresh:
            # Only now: a token that is missing from a finished home is away, and an empty one in its place would hide that.
            _make_token(home, settings)
        installation = Installation(home, settings, SystemClock(), Judge(judge_limits(settings)))
        # A database may serve several homes, so the lock of this one is not enough.
        if fresh:
            # The first certificates are of new shapes: the linter imports while the authorities' keys are made.
            installation.second_opinion.start()
        with installation.database.alone("init"):
            upgrade(installation.database.engine)
            _make_authorities(installation, wish, actor)
            make_services(installation, actor)
            publish(installation, actor)
            if wish.demo:
                _make_demo_signers(installation, actor)
        if fresh:
            _cut_fonts(installation)
        # The settings file says that the home is complete, so it comes last.
        if fresh:
            write_once(home.settings_file, _settings_text(settings).encode())
    return installation, fresh


def _checked_url(url: str) -> str:
    try:
        HttpSettings(public_url=url)
    except TableValueWrong:
        raise UsageError("PUBLIC_URL_WRONG", url=url) from None
    return url


def _make_folders(home: Home) -> None:
    for folder in (home.root, home.pin_file.parent, home.images, home.blobs, home.cache, home.run):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def _only_one(home: Home) -> Iterator[None]:
    """Two `init` at once would make two tokens of one label: the second waits for the first."""
    with (home.run / "init.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_token(home: Home, settings: Settings) -> None:
    """The default SoftHSM token. A module of the operator's own is his to initialise: we only ever open it."""
    if settings.hsm.module:
        return
    module = module_path(settings)
    home.tokens.mkdir(mode=0o700, exist_ok=True)
    for file in (home.pin_file, home.so_pin_file):
        _write_secret(file)
    write_once(home.softhsm_conf, configuration("tokens").encode())
    wanted = NewToken(module, settings.hsm.token_label, home.pin_file, home.so_pin_file)
    ensure_token(wanted, {**os.environ, **token_surroundings(home, settings)}, home.root)


def _write_secret(path: Path) -> None:
    """A random PIN that only the owner reads; never shown, never on a command line."""
    if path.exists():
        return
    partial = path.with_suffix(".new")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(_PIN_OCTETS))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _make_authorities(installation: Installation, wish: Wish, actor: Actor) -> None:
    """Root and issuing authority, unless they are there: an existing home keeps the names it was founded with."""
    with installation.database.read() as session:
        present = [find_authority(session, name) for name in ("root", "issuing")]
    root = present[0]
    if root is not None and wish.training and TRAINING_UNIT not in root.subject:
        raise UsageError("TRAINING_FIXED")
    if root is not None and wish.agency not in (None, founder := parse_subject(root.subject).organization):
        raise UsageError("AGENCY_FIXED", agency=founder)
    if all(each is not None and each.state is not AuthorityState.PENDING for each in present):
        return
    agency = wish.agency or (AGENCY_NAME if wish.demo else NO_AGENCY)
    training = wish.training or (root is not None and TRAINING_UNIT in root.subject)
    catalogue = read_catalogue(training=True) if training else installation.catalogue
    deps = CeremonyDeps(
        installation.database, installation.clock, installation.keys, catalogue,
        installation.settings.http.public_url, installation.twins,
        # A home is founded before it has persons who could approve.
        approvals=ApprovalRules(),
    )  # fmt: skip
    keys = installation.settings.keys
    create_root("root", _authority_subject("Root", agency, training=training), actor, deps, spec=KeySpec(keys.root))
    create_issuing(
        "issuing",
        "root",
        _authority_subject("Issuing", agency, training=training),
        actor,
        deps,
        spec=KeySpec(keys.issuing),
    )


def _authority_subject(kind: str, agency: str, *, training: bool) -> SubjectName:
    if training:
        return subject_name(CN=f"Antin TRAINING {kind} CA", OU=TRAINING_UNIT, O=agency, C="VN")
    return subject_name(CN=f"Antin {kind} CA", O=agency, C="VN")


def _cut_fonts(installation: Installation) -> None:
    """Put into the cache what stamps are drawn with, so that the first signature does not wait for it."""
    with contextlib.suppress(FontMissing):  # whoever signs is told; an authority alone needs no font
        for style in DRAWN_STYLES:
            installation.fonts.font(style)


def _make_demo_signers(installation: Installation, actor: Actor) -> None:
    with installation.database.read() as session:
        founder = parse_subject(get_authority(session, "root").subject).organization
    if founder not in (AGENCY_NAME, NO_AGENCY):
        # Credentials that anybody may use have no place beside an agency's own.
        raise UsageError("DEMO_IN_REAL_HOME", agency=founder)
    diameter = installation.settings.sign.seal_diameter_mm
    bold = Path(installation.settings.sign.font).with_name("Tinos-Bold.ttf")
    officer = subject_name(CN=OFFICER, T=POSITION, O=AGENCY_NAME, C="VN")
    seal = subject_name(CN=AGENCY_NAME, UID=DEMO_TAX_CODE, O=AGENCY_NAME, C="VN")
    _make_demo_signer(installation, actor, "officer", "officer", officer, "signature", None)
    _make_demo_signer(installation, actor, "seal", "agency-seal", seal, "seal", (diameter, bold))


def _make_demo_signer(
    installation: Installation, actor: Actor, name: str, profile: str, subject: SubjectName, purpose: Purpose,
    seal: tuple[float, Path] | None,
) -> None:  # fmt: skip
    with installation.database.read() as session:
        if credential_exists(session, name):
            return
    png = draw_seal(AGENCY_NAME, seal[1]) if seal else draw_signature()
    owner = subject.organization if seal else name
    new = NewImage(png, f"{name}.png", purpose, owner, seal[0] if seal else SIGNATURE_MM)
    picture = found_image(new, actor, installation.image_registry)
    # As it is stamped, into the cache: the first signature does not wait for it.
    installation.images.image(picture.sha256, purpose, picture.width_mm)
    spec = KeySpec(installation.settings.keys.credential)
    request = EnrolmentRequest(name, profile, subject, spec, picture.sha256, seal[0] if seal else None)
    deps = EnrolmentDeps(installation.keys, installation.issuing(), installation.settings.sign.rsa_padding)
    enrol(request, actor, deps)


def _settings_text(settings: Settings) -> str:
    text = (
        "# Settings of this home. Every one can also come from the environment: ANTIN_<SECTION>__<NAME>.\n"
        "# The README lists them all.\n\n"
        f"[http]\npublic_url = {json.dumps(settings.http.public_url)}\n"
    )
    if settings.database.url:
        # Without it a later command would look for the home's SQLite file and advise to found a second authority.
        known = make_url(settings.database.url).set(password=None).render_as_string()
        text += "\n# The password comes from the environment or from PostgreSQL's own password file.\n"
        text += f"[database]\nurl = {json.dumps(known)}\n"
    return text
