"""`antin demo`: the main job on real documents, and a table of what was made and where."""

from __future__ import annotations

import argparse
from pathlib import Path

from api.cli.call import Call
from api.cli.context import acting, print_table
from api.demo.run import DemoResult, run_demo
from api.wiring import open_installation
from api.words import Words, one_line
from signer.codes import grouped


def run(options: argparse.Namespace, call: Call) -> int:
    """Run the demo; exit 1 if a document that was signed does not verify, or the tampered one does."""
    del options
    own = call.environment.get("ANTIN_DEMO_DOCUMENTS")
    folder = Path(own).absolute() if own else None
    with open_installation(call.environment, judge=call.judge) as installation:
        results, tampered = run_demo(installation, folder, acting(call, installation))
        home = installation.home
    done = [result for result in results if result.verdict]
    call.out.write(
        call.words.say("DEMO_READY", {"more": str(len(done) - 3)}) + "\n"
        if own
        else call.words.say("DEMO_READY_PLAIN") + "\n"
    )
    print_table(call.out, [_heading(call.words), *(_row(result, call.words) for result in done)])
    for result in results:
        if result.refusal:
            call.out.write(
                call.words.say("DEMO_SKIPPED", {"file": result.name, "why": call.words.say(*result.refusal)}) + "\n"
            )
    if tampered is not None:
        call.out.write("\n" + call.words.say("DEMO_TAMPERED") + "\n")
        print_table(call.out, [_heading(call.words), _row(tampered, call.words)])
    call.out.write("\n" + call.words.say("DEMO_WHERE", {"out": str(home.out), "demo": str(home.demo)}) + "\n")
    call.out.write(call.words.say("DEMO_NEXT", {"url": installation.settings.http.public_url}) + "\n")
    good = all(result.verdict and all(each.is_sound for each in result.verdict.judged.signatures) for result in done)
    caught = tampered is not None and tampered.verdict is not None and tampered.verdict.conclusion == "invalid"
    return 0 if good and caught else 1


def _heading(words: Words) -> list[str]:
    return [words.say(f"COLUMN_{name}") for name in ("FILE", "CODE", "SIGNATURES", "VERDICT")]


def _row(result: DemoResult, words: Words) -> list[str]:
    verdict = result.verdict
    assert verdict is not None
    code = grouped(verdict.document.code) if verdict.document else "–"
    conclusion = f"{words.say(f'CONCLUSION_{verdict.conclusion}')}: {words.say(verdict.reason)}"
    return [one_line(result.name), code, str(len(verdict.judged.signatures)), conclusion]
