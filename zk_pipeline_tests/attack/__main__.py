"""`python -m zk_pipeline_tests.attack`: attacks an installation; exit code 1 when one attack did not hold."""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from io import StringIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from zk_pipeline_tests.attack import browsers, callers, dagsters_door, machine, records
from zk_pipeline_tests.attack.book import ATTACKS, Verdict, carried_out
from zk_pipeline_tests.attack.place import Place, open_place

WIDTH = 100
MODULES = (machine, browsers, callers, dagsters_door, records)
"""Importing them enters their attacks."""


def main() -> int:
    """Carry out all attacks, or those whose names hold a text, and show the table."""
    parser = argparse.ArgumentParser(prog="python -m zk_pipeline_tests.attack", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="only attacks whose names hold this text")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with every try")
    options = parser.parse_args()
    with open_place() as place:
        verdicts = verdicts_on(place, options.only)
    broken = [verdict for verdict in verdicts if not verdict.held]
    if options.json:
        rows = [{**asdict(verdict), "held": verdict.held} for verdict in verdicts]
        sys.stdout.write(json.dumps({"attacks": len(verdicts), "broken": len(broken), "verdicts": rows}) + "\n")
    else:
        sys.stdout.write(f"{told(verdicts)}{len(verdicts)} attacks, {len(broken)} of them broken.\n")
    return 1 if broken or not verdicts else 0


def verdicts_on(place: Place, only: str = "") -> list[Verdict]:
    """Carry out the attacks whose names hold this text; all without one."""
    wanted = [attack for attack in ATTACKS if only.lower() in attack.name.lower()]
    with ThreadPoolExecutor() as pool:
        waiting = {attack: pool.submit(carried_out, attack, place) for attack in wanted if attack.waits}
        done = {attack: carried_out(attack, place) for attack in wanted if not attack.waits}
        done |= {attack: verdict.result() for attack, verdict in waiting.items()}
    return [done[attack] for attack in wanted]


def told(verdicts: Sequence[Verdict]) -> str:
    """The table of what was tried."""
    table = Table(width=WIDTH, show_lines=False)
    for name, ratio in (("attack", 34), ("sent", 34), ("came back", 18)):
        table.add_column(name, ratio=ratio, overflow="fold")
    table.add_column("outcome", width=7)
    for verdict in verdicts:
        outcome = "held" if verdict.held else "[bold red]BROKEN[/]"
        table.add_row(escape(verdict.attack), escape(verdict.sent), escape(verdict.came_back), outcome)
    paper = StringIO()
    Console(file=paper, width=WIDTH, force_terminal=sys.stdout.isatty()).print(table)
    return paper.getvalue()


if __name__ == "__main__":
    sys.exit(main())
