"""`python -m zk_pipeline_tests.chaos`: runs seeds of the fault matrix; exit code 1 when one of them fails."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict
from statistics import median

from zk_pipeline_tests.chaos.seeds import Seed, Verdict, judged_in_time, processes

DEFAULT_SEEDS = 20
SECONDS = 40.0


def main() -> int:
    """Run the seeds, tell each verdict, and keep those that failed."""
    parser = argparse.ArgumentParser(prog="python -m zk_pipeline_tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=DEFAULT_SEEDS, help=f"how many ({DEFAULT_SEEDS})")
    parser.add_argument("--first", type=int, default=1, help="the first seed (1)")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"how long the faults of a seed last ({SECONDS:g})"
    )
    parser.add_argument("--at-once", type=int, default=1, help="how many installations run at the same time (1)")
    parser.add_argument("--together", type=int, default=1, help="how many seeds one installation goes through (1)")
    parser.add_argument("--minutes", type=float, help="begin no further seed after so many minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    verdicts: list[Verdict] = []
    for verdict in _verdicts(options):
        verdicts.append(verdict)
        sys.stderr.write(f"{_line(verdict)}\n")
    failed = [verdict for verdict in verdicts if verdict.differences]
    if options.json:
        told = {"failed": len(failed), "seeds": [asdict(verdict) for verdict in verdicts]}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"{_summary(verdicts)}\n{len(verdicts)} seeds, {len(failed)} of them failed.\n")
    return 1 if failed else 0


def _verdicts(options: argparse.Namespace) -> Iterator[Verdict]:
    ends_at = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    with processes(options.at_once) as pool:
        seeds = [Seed(number, options.seconds) for number in range(options.first, options.first + options.seeds)]
        places = [seeds[at : at + options.together] for at in range(0, len(seeds), options.together)]
        begun = {pool.submit(judged_in_time, of_place, ends_at): of_place[0].number for of_place in places}
        for done in as_completed(begun):
            if error := done.exception():
                sys.stderr.write(f"seed {begun[done]:4}  not judged, for its place was not to be had: {error!r}\n")
            else:
                yield from done.result()


def _line(verdict: Verdict) -> str:
    outcome = "FAILED" if verdict.differences else "ok"
    told = (
        f"seed {verdict.seed.number:4}  {outcome:6}  {verdict.seconds:5.0f} s, {verdict.catching_up:.0f} to catch up  "
        f"{len(verdict.events):3} events  {verdict.harmed:3} requests harmed  {verdict.killed:2} processes killed  "
        f"{verdict.compared:3} bookings compared, {verdict.excused:3} up to people"
    )
    if not verdict.differences:
        return told
    return "\n".join([told, *verdict.events, "", *verdict.differences, "", *verdict.stories])


def _summary(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "There was no time for any seed."
    catching_up = [verdict.catching_up for verdict in verdicts]
    return (
        f"{sum(len(verdict.events) for verdict in verdicts)} events, {sum(row.harmed for row in verdicts)} requests "
        f"harmed, {sum(row.killed for row in verdicts)} processes killed, {sum(row.compared for row in verdicts)} "
        f"bookings compared and {sum(row.excused for row in verdicts)} up to people; caught up within "
        f"{median(catching_up):.0f} s (median) to {max(catching_up):.0f} s (longest)."
    )


if __name__ == "__main__":
    sys.exit(main())
