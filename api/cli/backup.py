"""`antin backup`: a recovery key, a home as one encrypted file, and a home out of such a file."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from api.backup.create import BackupReport, BackupWish, create_backup, recipients_of
from api.backup.recovery_key import make_recovery_key, parse_recipients, read_identities
from api.backup.restore import RestoreReport, RestoreWish, restore_backup
from api.cli.call import Call
from api.cli.context import acting, owner_acting, print_json, refuse_existing
from api.cli.parser import TypedPath
from api.errors import UsageError
from api.home import locate_home
from api.wiring import open_installation
from api.words import local_time, one_line
from certs.clock import SystemClock, for_people
from pki.replay import CRL_MARGIN

_SHOWN = 20


def run(options: argparse.Namespace, call: Call) -> int:
    """Make a key, a backup, or a home."""
    actions = {"keygen": _keygen, "create": _create, "restore": _restore}
    return actions[options.action](options, call)


def _keygen(options: argparse.Namespace, call: Call) -> int:
    """Needs no home, and is best done where there is none."""
    target: TypedPath = options.output
    refuse_existing(target.path, target.typed, force=False)
    if target.path.resolve().is_relative_to(locate_home(call.environment).root.resolve()):
        raise UsageError("RECOVERY_KEY_INSIDE_HOME", path=target.typed)
    recipient = make_recovery_key(target.path)
    if options.json:
        print_json(call.out, {"recipient": recipient})
        return 0
    call.out.write(f"{recipient}\n")
    call.err.write(call.words.say("RECOVERY_KEY_MADE", {"path": target.typed}) + "\n")
    return 0


def _create(options: argparse.Namespace, call: Call) -> int:
    with open_installation(call.environment) as installation:
        recipients = tuple(parse_recipients(recipients_of(installation, options.recipient)))
        target = options.output or _usual_target(installation.clock.now())
        refuse_existing(target.path, target.typed, force=options.force)
        wish = BackupWish(target.path, recipients, options.force)
        report = create_backup(installation, wish, acting(call, installation))
    if options.json:
        print_json(call.out, {"path": target.typed} | asdict(report))
    else:
        _say_created(report, target, call)
    return 1 if report.damaged else 0


def _usual_target(now: datetime) -> TypedPath:
    name = f"antin-{now:%Y%m%dT%H%M%SZ}.backup"
    return TypedPath(name, Path(name).absolute())


def _say_created(report: BackupReport, target: TypedPath, call: Call) -> None:
    say = call.words.say
    facts = {"path": target.typed, "mb": f"{report.octets / 1024 / 1024:.1f}", "blobs": str(report.blobs)}
    call.out.write(say("BACKUP_CREATED", facts) + "\n")
    call.out.write(say("BACKUP_SHA256", {"sha256": report.sha256}) + "\n")
    if not report.token_copied:
        call.out.write(say("BACKUP_KEYS_ELSEWHERE", {"count": str(len(report.keys))}) + "\n")
        for key in report.keys:
            call.out.write(f"  {key['id']}  {key['kind']} {key['name']}\n")
    if report.pin_elsewhere:
        call.out.write(say("BACKUP_PIN_ELSEWHERE") + "\n")
    for name in report.left_out[:_SHOWN]:
        call.err.write(one_line(say("BACKUP_LEFT_OUT", {"path": name})) + "\n")
    if report.damaged:
        call.err.write(say("BACKUP_BLOBS_DAMAGED", {"count": str(report.damaged)}) + "\n")
        for name in report.damaged_names:
            call.err.write(f"  {name}\n")


def _restore(options: argparse.Namespace, call: Call) -> int:
    """Whoever owns the folder restores into it; there is no register of persons yet that could say more."""
    for each in options.audit_export:
        _refuse_unreadable(each)
    wish = RestoreWish(
        options.file.path,
        options.file.typed,
        tuple(read_identities(options.identity.path, options.identity.typed)),
        tuple(each.path for each in options.audit_export),
    )
    report = restore_backup(wish, call.environment, owner_acting(), SystemClock())
    if options.json:
        print_json(call.out, asdict(report))
    else:
        _say_restored(report, call)
    return 5 if report.keys_missing or report.keys_away or report.unpublished else 0


def _refuse_unreadable(file: TypedPath) -> None:
    """Before anything is unpacked."""
    if file.path.is_dir():
        raise UsageError("INPUT_IS_FOLDER", path=file.typed)
    try:
        file.path.open("rb").close()
    except FileNotFoundError:
        raise UsageError("INPUT_MISSING", path=file.typed) from None
    except OSError as error:
        raise UsageError("INPUT_UNREADABLE", path=file.typed, reason=error.strerror or "") from None


def _named(act: str) -> str:
    """An act that was not done again, as JSON names it, with its time in Vietnam's zone."""
    what, bracket, time = act.rpartition(" (")
    return one_line(f"{what}{bracket}{local_time(time.removesuffix(')'))})" if bracket else act)


def _say_restored(report: RestoreReport, call: Call) -> None:
    say, home = call.words.say, str(locate_home(call.environment).root)
    time = for_people(datetime.fromisoformat(report.time))
    facts = {"home": home, "time": time, "rows": str(report.rows), "blobs": str(report.blobs)}
    if report.finished_only:
        call.out.write(say("RESTORE_FINISHED") + "\n")
    call.out.write(say("BACKUP_RESTORED", facts) + "\n")
    found = report.reconciled
    if found["known_until"] is None:
        call.out.write(say("RESTORE_WITHOUT_EXPORT", {"time": time}) + "\n")
    else:
        until = for_people(datetime.fromisoformat(found["known_until"]))
        call.out.write(say("RESTORE_RECONCILED", {"acts": str(found["acts"]), "time": until}) + "\n")
        for action, count in found["replayed"].items():
            call.out.write(f"  {count} × {action}\n")
    call.out.write(say("RESTORE_NUMBERS", {"margin": str(CRL_MARGIN)}) + "\n")
    if found["lost_count"]:
        call.out.write(say("RESTORE_LOST", {"count": str(found["lost_count"])}) + "\n")
        call.out.writelines(f"  {_named(name)}\n" for name in found["lost"][:_SHOWN])
    if found["unknown_count"]:
        call.out.write(say("RESTORE_UNKNOWN", {"count": str(found["unknown_count"])}) + "\n")
        call.out.writelines(f"  {_named(name)}\n" for name in found["unknown"][:_SHOWN])
    if found["missing"]:
        call.out.write(say("RESTORE_MISSING", {"count": str(found["missing"])}) + "\n")
    if found["approvals_closed"]:
        call.out.write(say("RESTORE_APPROVALS_CLOSED", {"count": str(found["approvals_closed"])}) + "\n")
    if report.keys_away:
        call.err.write(say("RESTORE_KEYS_AWAY", {"reason": report.keys_away}) + "\n")
    for key in report.keys_missing:
        call.err.write(say("RESTORE_KEY_MISSING", key) + "\n")
    if report.unpublished:
        call.err.write(say("RESTORE_UNPUBLISHED", {"reason": report.unpublished}) + "\n")
