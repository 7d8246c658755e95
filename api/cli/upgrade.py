"""`antin upgrade`: raise signed files, ours or not, to a higher level; one that is refused does not stop the others."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, read_password, refuse_existing, take_input
from api.cli.failures import describe
from api.cli.outputs import Job, plan_outputs, practice_jobs
from api.cli.trusted import read_trusted
from api.wiring import Installation, open_installation
from api.words import one_line
from pki.audit import Actor
from signer.leveling import LevelingDeps
from signer.raising import upgrade_file
from signer.storage import OutputFile
from signer.validation.facts import ValidationInputs
from signer.validation.reasons import combined_exit_code

# Two time-stamps and a store; lists that were given come on top.
_GROWTH = 256 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Write the raised files; nothing where one cannot be raised."""
    with open_installation(call.environment, judge=call.judge) as installation:
        jobs = plan_outputs(options.files, options.output)
        if installation.training:
            jobs = practice_jobs(jobs, options)
        actor = acting(call, installation)
        anchors, crls = read_trusted(options.trust)
        password = read_password(options.password_file)
        extra = ValidationInputs(installation.clock.now(), anchors, (), crls, password)
        deps = installation.raising(extra, offline=options.offline)
        growth = _GROWTH + sum(map(len, crls))
        if len(jobs) == 1:
            _say(_raise(jobs[0], growth, options, installation, actor, deps), options, call)
            return 0
        return _raise_many(jobs, growth, options, installation, actor, deps, call)


def _raise_many(
    jobs: list[Job], growth: int, options: argparse.Namespace, installation: Installation, actor: Actor, deps: LevelingDeps,
    call: Call,
) -> int:  # fmt: skip
    exits: set[int] = set()
    results: list[dict[str, Any]] = []
    for job in jobs:
        try:
            facts = _raise(job, growth, options, installation, actor, deps)
        except Exception as error:  # noqa: BLE001  one refused file does not stop the others
            exit_code, code, why = describe(error)
            exits.add(exit_code)
            results.append({"file": job.source.typed, "error": code, "facts": why})
            if not options.json:
                sys.stderr.write(f"antin: {one_line(job.source.typed)}: {one_line(call.words.say(code, why))}\n")
        else:
            results.append(facts)
            if not options.json:
                _say(facts, options, call)
    if options.json:
        print_json(call.out, results)
    return combined_exit_code(exits)


def _raise(
    job: Job, growth: int, options: argparse.Namespace, installation: Installation, actor: Actor, deps: LevelingDeps
) -> dict[str, str]:
    pdf = take_input(job.source, installation.settings.sign.max_bytes, installation.blobs, growth)
    refuse_existing(job.target.path, job.target.typed, force=options.force)
    with OutputFile(job.target.path, expected_size=len(pdf) + growth, replace=options.force) as file:
        file.begin(pdf)
        raised = upgrade_file(pdf, options.level, actor, deps)
        file.publish(raised.file)
    return {
        "file": job.source.typed,
        "output": job.target.typed,
        "level": raised.level,
        "before": raised.before,
        "sha256": raised.sha256,
    }


def _say(facts: dict[str, str], options: argparse.Namespace, call: Call) -> None:
    if options.json:
        print_json(call.out, facts)
    else:
        call.out.write(call.words.say("UPGRADED", facts) + "\n")
