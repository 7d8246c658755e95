"""Every privileged deed, in a real home: an auditor and an actor without roles are refused by the domain, and nothing changes."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_der_x509_certificate
from sqlalchemy import MetaData, select

from api.auth.tokens import issue_token, revoke_token
from api.backup.create import BackupWish, create_backup
from api.backup.restore import RestoreWish, restore_backup
from api.demo.pictures import draw_signature
from api.demo.run import run_demo
from api.founding import Wish, found
from api.key_uses import give_purposes
from api.mending import mend
from api.notice_delivery import carry_notices
from api.publishing import publish
from api.services import Services
from api.signing_speed import measure
from api.wiring import Installation, open_installation
from certs.names import parse_subject
from hsm.spec import KeySpec
from pki.appointment import add_person, disable_person, enable_person, grant_role, withdraw_role
from pki.approval import Deed, demand
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor
from pki.authority_import import import_authority
from pki.ceremony import CeremonyDeps, create_issuing, create_root
from pki.crl import partition_crl, publish_due, sign_crl
from pki.errors import RoleMissing
from pki.issuance import IssuanceRequest, decide, demand_issuance, issue, issue_draft, issue_wanted
from pki.issuance_batch import issue_many
from pki.registration import add_registration, confirm_registration, refuse_registration, register_at_once
from pki.registration_records import Wanted
from pki.renewal import RenewalRequest, renew
from pki.revocation import reinstate, revoke, revoke_intents
from pki.roles import Role, owner
from pki.service_keys import ServiceKind, ensure_service
from pki.voting import approve, reject
from signer.batches import NewBatch, NewDocument, add_batch, cancel_batch
from signer.consent import ActivationWish, end_consent, enrol_factor, give_consent
from signer.credential_renewal import CredentialRenewal, rekey_credential, renew_credential
from signer.enrolment import EnrolmentDeps, EnrolmentRequest, enrol
from signer.given import Given
from signer.handing_over import cancel_document, clear_prepared, finish_document, prepare_document
from signer.image_registry import NewImage, add_image, end_image, found_image
from signer.leveling import reach_due
from signer.mandates import NewMandate, add_mandate, end_mandate
from signer.number_book import NumberWish, give_up_number, hold_number
from signer.official import RequestWish, import_certificate, request_certificate
from signer.outside_credentials import NewOutside, end_outside, enrol_outside
from signer.preview import PreviewWish, preview_document
from signer.printing import PrintWish, print_document
from signer.raising import upgrade_document, upgrade_file
from signer.recall import recall_document
from signer.renewal import renew_due
from signer.signing import SignRequest, sign_document
from signer.signing_batch import prepare_chunk, sign_documents
from signer.signing_chunks import sign_in_chunks
from signer.succession import Succession, record_succession
from signer.trust_exchange import export_store, import_store
from signer.trust_lists import import_list
from signer.trust_store import add_anchor, remove_anchor
from tests.installation import OFFICER_NAME, User, tree
from tests.official import look_alike

ROOT = Path(__file__).parents[2]
AUDITOR = Actor("dung", frozenset({Role.AUDITOR}))
NOBODY = Actor("os:root")
# What has an actor and is no deed: it writes or asks on behalf of one of those that are.
_SERVES_DEEDS = {
    "pki/audit.py:append", "pki/audit.py:audit_values", "pki/approval.py:use", "pki/approval_records.py:note",
    "pki/roles.py:require", "pki/tsa/authority.py:write_tally", "signer/intents.py:begin_fresh",
    "signer/intents.py:begin_in_force",
    "signer/signing_case.py:open_case", "signer/batch_work.py:work_off", "api/cli/sign_again.py:done_before",
    "signer/intents.py:finish_fresh", "signer/newest.py:put_in_place", "signer/signing.py:make_ready", "signer/prepared.py:give_up_act",
    "api/services.py:prepared_since", "pki/audit.py:append_all", "pki/issuing_cycle.py:issue_orders",
    "api/services.py:signed_since", "api/service_upkeep.py:make_services", "api/service_upkeep.py:make_trust_store_service",
    "signer/trust_store.py:add_authorities", "signer/trust_store.py:trusted_of", "api/cli/picture.py:registered_picture",
}  # fmt: skip


def deeds(
    home: Installation, code: str, later: str, prepared: str, pdf: bytes, environment: dict[str, str]
) -> dict[str, Callable[[Actor], object]]:
    """Each privileged deed as one call that would succeed for an admin."""
    subject, database, clock = parse_subject(OFFICER_NAME), home.database, home.clock
    issuing, persons = home.issuing(), home.persons
    officer = home.desk.usable("officer")
    serial, request = officer.serial, IssuanceRequest("officer", subject, officer.public_key_der)
    ceremony = CeremonyDeps(
        database, clock, home.keys, home.catalogue, home.settings.http.public_url, home.twins, approvals=ApprovalRules()
    )
    enrolment = EnrolmentDeps(home.keys, issuing, "pss")
    services = Services(home)
    registering = home.registrations
    registered = Wanted("system", "CN=x,OU=y,O=z,C=VN", (), None, officer.public_key_der)
    again = CredentialRenewal("officer", force=True)
    succession = Succession(code, later, "replaced", "sai nội dung")
    batch = NewBatch(1, "0" * 64, "officer", None, "B-B", [NewDocument("a.pdf", pdf, "0" * 64)])
    sign = SignRequest(pdf, "paper.pdf", "officer", placement="none")
    card = NewOutside("card", "officer", load_der_x509_certificate(officer.template.certificate), (), "x", "x")
    mandate = NewMandate("officer", "KT", "x", "x", "", "2026-01-01")
    picture = NewImage(draw_signature(), "x.png", "signature", "officer", 45.0)
    ca = parse_subject("CN=Another CA,O=Sở Thử nghiệm,C=VN")
    tsa = parse_subject("CN=Another TSA,O=Sở Thử nghiệm,C=VN")
    state = look_alike("government", 2, clock.now())
    crl = state.lists()[0]
    consented = ActivationWish("officer", ("0" * 64,), timedelta(minutes=1))
    return {
        "pki/appointment.py:add_person": lambda a: add_person("em", "Em", [Role.ADMIN], a, persons),
        "pki/appointment.py:grant_role": lambda a: grant_role("an", Role.REGISTRATION_OFFICER, a, persons),
        "pki/appointment.py:withdraw_role": lambda a: withdraw_role("an", Role.ADMIN, a, persons),
        "pki/appointment.py:disable_person": lambda a: disable_person("an", a, persons),
        "pki/appointment.py:enable_person": lambda a: enable_person("cuc", a, persons),
        "pki/approval.py:demand": lambda a: demand(Deed(Act.AUTHORITY_CREATE, "x", {}), 1, a, persons),
        "pki/ceremony.py:create_root": lambda a: create_root("root-2", ca, a, ceremony),
        "pki/ceremony.py:create_issuing": lambda a: create_issuing("issuing-2", "root", ca, a, ceremony),
        "pki/authority_import.py:import_authority": lambda a: import_authority("old", state.root, None, a, ceremony),
        "pki/crl.py:sign_crl": lambda a: sign_crl(issuing.issuer, a, home.crls),
        "pki/crl.py:publish_due": lambda a: publish_due(issuing.issuer, a, home.crls, everything=True),
        "pki/crl.py:partition_crl": lambda a: partition_crl("issuing", 2, a, home.crls),
        "pki/issuance.py:issue": lambda a: issue(request, a, issuing),
        "pki/issuance.py:demand_issuance": lambda a: demand_issuance(request, "x", a, issuing),
        "pki/issuance.py:issue_wanted": lambda a: issue_wanted(request.wanted, None, a, issuing),
        "pki/issuance_batch.py:issue_many": lambda a: issue_many([request], a, issuing),
        "pki/issuance.py:issue_draft": lambda a: issue_draft(
            decide(request, issuing), issuing.issuer.key, a, database, clock, home.twins, None
        ),
        "pki/revocation.py:revoke": lambda a: revoke(serial, "keyCompromise", a, home.revocation),
        "pki/revocation.py:revoke (hold)": lambda a: revoke(serial, "certificateHold", a, home.revocation),
        "pki/revocation.py:revoke_intents": lambda a: revoke_intents(clock.now(), a, home.revocation),
        "pki/registration.py:add_registration": lambda a: add_registration(registered, "x", a, registering),
        "pki/registration.py:confirm_registration": lambda a: confirm_registration(1, "x", a, registering),
        "pki/registration.py:refuse_registration": lambda a: refuse_registration(1, "x", a, registering),
        "pki/registration.py:register_at_once": lambda a: register_at_once(registered, "x", a, registering),
        "pki/renewal.py:renew": lambda a: renew(RenewalRequest(serial, force=True), a, issuing),
        "pki/expiry_notices.py:make_due": home.notices.make_due,
        "signer/credential_renewal.py:renew_credential": lambda a: renew_credential(again, a, enrolment),
        "signer/credential_renewal.py:rekey_credential": lambda a: rekey_credential(again, a, enrolment),
        "api/notice_delivery.py:carry_notices": lambda a: carry_notices(home, a, None),
        "api/services.py:revoke": lambda a: services.revoke(serial, "superseded", None, a),
        "api/services.py:reinstate": lambda a: services.reinstate(serial, a),
        "api/services.py:renew": lambda a: services.renew(RenewalRequest(serial, force=True), a),
        "pki/revocation.py:reinstate": lambda a: reinstate(serial, a, home.revocation),
        "pki/service_keys.py:ensure_service": lambda a: ensure_service(
            "tsa-2", ServiceKind.TSA, tsa, home.keys, a, issuing
        ),
        "pki/voting.py:approve": lambda a: approve(1, "0" * 64, a, persons),
        "pki/voting.py:reject": lambda a: reject(1, "no", a, persons),
        "signer/enrolment.py:enrol": lambda a: enrol(
            EnrolmentRequest("officer-2", "officer", subject, KeySpec.P_256), a, enrolment
        ),
        "signer/outside_credentials.py:enrol_outside": lambda a: enrol_outside(card, a, home.outside),
        "signer/outside_credentials.py:end_outside": lambda a: end_outside("card", "x", a, database, clock),
        "signer/mandates.py:add_mandate": lambda a: add_mandate(mandate, a, database, clock),
        "signer/image_registry.py:add_image": lambda a: add_image(picture, a, home.image_registry),
        "signer/image_registry.py:found_image": lambda a: found_image(picture, a, home.image_registry),
        "signer/image_registry.py:end_image": lambda a: end_image(1, "x", a, database, clock),
        "signer/mandates.py:end_mandate": lambda a: end_mandate(1, "x", a, database, clock),
        "signer/number_book.py:hold_number": lambda a: hold_number(NumberWish("x"), "x", a, database, clock),
        "signer/number_book.py:give_up_number": lambda a: give_up_number(NumberWish("x"), "x", a, database, clock),
        "signer/consent.py:enrol_factor": lambda a: enrol_factor("officer", a, home.consent),
        "signer/consent.py:end_consent": lambda a: end_consent("officer", a, home.consent),
        "signer/consent.py:give_consent": lambda a: give_consent(consented, "123456", a, home.consent),
        "signer/official.py:request_certificate": lambda a: request_certificate(
            RequestWish("officer"), a, home.official
        ),
        "signer/official.py:import_certificate": lambda a: import_certificate([state.root], a, home.official),
        "signer/trust_store.py:add_anchor": lambda a: add_anchor(
            state.root, "government", state.fingerprint, a, home.trust
        ),
        "signer/trust_store.py:remove_anchor": lambda a: remove_anchor("0" * 64, a, home.trust),
        "signer/trust_exchange.py:export_store": lambda a: export_store(
            timedelta(days=1), a, home.trust, home.services
        ),
        "signer/trust_exchange.py:import_store": lambda a: import_store(b"", bytes(32), a, home.trust),
        "signer/trust_lists.py:import_list": lambda a: import_list(crl, [], a, home.trust),
        "signer/recall.py:recall_document": lambda a: recall_document(code, "nhầm", a, database, clock),
        "signer/raising.py:upgrade_file": lambda a: upgrade_file(pdf, "B-T", a, home.leveling),
        "signer/raising.py:upgrade_document": lambda a: upgrade_document(code, "B-T", a, home.leveling),
        "api/services.py:upgrade": lambda a: services.upgrade(code, "B-T", a),
        "signer/renewal.py:renew_due": lambda a: renew_due(a, home.leveling),
        "signer/leveling.py:reach_due": lambda a: reach_due(a, home.leveling),
        "signer/succession.py:record_succession": lambda a: record_succession(succession, a, database, clock),
        "signer/signing.py:sign_document": lambda a: sign_document(sign, a, home.signing),
        "signer/batches.py:add_batch": lambda a: add_batch(batch, a, database, home.uploads, clock),
        "signer/batches.py:cancel_batch": lambda a: cancel_batch("0", a, database, clock),
        "api/services.py:add_batch": lambda a: services.add_batch(batch, a),
        "api/services.py:cancel_batch": lambda a: services.cancel_batch("0", a),
        "signer/signing_batch.py:sign_documents": lambda a: sign_documents([sign], a, home.signing),
        "signer/signing_batch.py:prepare_chunk": lambda a: prepare_chunk([sign], a, home.signing),
        "signer/signing_chunks.py:sign_in_chunks": lambda a: list(sign_in_chunks([sign], a, home.signing)),
        "signer/handing_over.py:prepare_document": lambda a: prepare_document(sign, a, home.handover),
        "signer/handing_over.py:finish_document": lambda a: finish_document(prepared, Given(), a, home.handover),
        "signer/handing_over.py:cancel_document": lambda a: cancel_document(prepared, a, home.handover),
        "signer/handing_over.py:clear_prepared": lambda a: clear_prepared(a, home.handover),
        "api/auth/tokens.py:issue_token": lambda a: issue_token(persons, a, scopes=["sign"]),
        "api/auth/tokens.py:revoke_token": lambda a: revoke_token(database, clock, a, "kiosk"),
        "api/backup/create.py:create_backup": lambda a: create_backup(
            home, BackupWish(home.home.root.parent / "b", ()), a
        ),
        "api/backup/restore.py:restore_backup": lambda a: restore_backup(
            RestoreWish(home.home.root.parent / "b", "b", ()), environment, a, clock
        ),
        "api/demo/run.py:run_demo": lambda a: run_demo(home, None, a),
        "api/founding.py:found": lambda a: found(Wish(), environment, a),
        "api/key_uses.py:give_purposes": lambda a: give_purposes(home, a),
        "api/mending.py:mend": lambda a: mend(home, a),
        "api/publishing.py:publish": lambda a: publish(home, a, everything=True),
        "api/services.py:sign": lambda a: services.sign(sign, a),
        "signer/preview.py:preview_document": lambda a: preview_document(
            sign, PreviewWish(), a, home.signing, home.judging
        ),
        "api/services.py:preview": lambda a: services.preview(sign, PreviewWish(), a),
        "api/services.py:prepare": lambda a: services.prepare(sign, None, a),
        "api/services.py:finish_prepared": lambda a: services.finish_prepared(prepared, Given(), a),
        "api/services.py:cancel_prepared": lambda a: services.cancel_prepared(prepared, a),
        "api/services.py:issue": lambda a: services.issue(registered, "x", a),
        "api/services.py:issue_registered": lambda a: services.issue_registered(1, a),
        "signer/printing.py:print_document": lambda a: print_document(
            PrintWish(code, "Một cửa"), home.judging, a, home.printing
        ),
        "api/services.py:print": lambda a: services.print(PrintWish(code, "Một cửa"), a),
        "api/services.py:recall": lambda a: services.recall(code, "nhầm", a),
        "api/services.py:succeed": lambda a: services.succeed(succession, a),
        "api/signing_speed.py:measure": lambda a: measure(home.keys, 0.01, 1, a),
    }


def state(home: Installation) -> str:
    """Every row, every key and every file of the home, as text."""
    tables = MetaData()
    with home.database.read() as session:
        tables.reflect(session.connection())
        rows = {
            table.name: sorted(str(tuple(row)) for row in session.execute(select(table)))
            for table in tables.sorted_tables
        }
    keys = sorted(each.label for each in home.keys.list_keys())
    files = {name: sha256 for name, sha256 in tree(home.home.root).items() if not name.startswith(("run/", "antin.db"))}
    return json.dumps([rows, keys, files], indent=1)


@pytest.mark.slow
def test_no_privileged_deed_is_done_by_an_auditor_or_by_an_actor_without_roles(user: User) -> None:
    code = user.sign("paper.pdf", "officer", "a.pdf", "--placement", "none")["code"]
    later = user.sign("paper.pdf", "officer", "b.pdf", "--placement", "none")["code"]
    prepared = user.json("prepare", "paper.pdf", "--as", "officer", "--placement", "none")["id"]
    user.antin("token", "issue", "--scope", "sign", "--name", "kiosk")
    user.antin("registration", "add", "--profile", "officer", "--subject", OFFICER_NAME)
    for name in ("an", "cuc"):
        user.antin("person", "add", name, "--full-name", name, "--role", "admin")
    user.antin("person", "disable", "cuc")
    user.refused(6, "person", "grant", "cuc", "registration-officer", ANTIN_APPROVALS__ACTS="person.grant")
    environment = user.surroundings()
    with open_installation(environment) as home:
        calls = deeds(home, code, later, prepared, (user.folder / "paper.pdf").read_bytes(), environment)
        before = state(home)
        for name, deed in calls.items():
            for actor in (AUDITOR, NOBODY):
                with pytest.raises(RoleMissing) as caught:
                    deed(actor)
                assert caught.value.facts["actor"] == actor.name, name
        assert state(home) == before
        # The same calls are deeds: an admin who does one changes something.
        calls["pki/revocation.py:revoke"](owner("root"))
        assert state(home) != before


def test_every_function_with_an_actor_is_a_deed_of_this_walk_or_serves_one() -> None:
    walked = {name.partition(" ")[0] for name in _walked()}
    assert _with_actor() == walked | _SERVES_DEEDS


def _walked() -> list[str]:
    """The keys of `deeds`, read from its source: no home is needed to know them."""
    tree_ = ast.parse(Path(__file__).read_text("utf-8"))
    function = next(each for each in tree_.body if isinstance(each, ast.FunctionDef) and each.name == "deeds")
    returned = next(each for each in ast.walk(function) if isinstance(each, ast.Return))
    assert isinstance(returned.value, ast.Dict)
    return [ast.literal_eval(key) for key in returned.value.keys if key is not None]


def _with_actor() -> set[str]:
    found = set()
    for package in ("pki", "signer", "api"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                    continue
                arguments = [*node.args.args, *node.args.kwonlyargs]
                if any(each.annotation is not None and ast.unparse(each.annotation) == "Actor" for each in arguments):
                    found.add(f"{path.relative_to(ROOT)}:{node.name}")
    return found
