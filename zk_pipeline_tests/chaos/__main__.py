"""`python -m zk_pipeline_tests.chaos`: runs seeds of the fault matrix; exit code 1 when one of them fails."""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from zk_pipeline_tests.chaos.seeds import Verdict, judged_alone, remember

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
    parser.add_argument("--minutes", type=float, help="begin no further seed after so many minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    verdicts: list[Verdict] = []
    for verdict in _verdicts(options):
        verdicts.append(verdict)
        sys.stderr.write(f"{_line(verdict)}\n")
    failed = [verdict for verdict in verdicts if verdict.differences]
    if options.json:
        told = {"seconds": options.seconds, "failed": len(failed), "seeds": [asdict(verdict) for verdict in verdicts]}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"{len(verdicts)} seeds, {len(failed)} of them failed.\n")
    return 1 if failed else 0


def _verdicts(options: argparse.Namespace) -> Iterator[Verdict]:
    ends_at = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    for seed in range(options.first, options.first + options.seeds):
        if time.monotonic() > ends_at:
            return
        home = Path(tempfile.mkdtemp(prefix=f"zk-chaos-{seed}-"))
        verdict = judged_alone(home, seed, options.seconds)
        if verdict.differences:
            remember(seed, options.seconds)
            (home / "events.txt").write_text("\n".join(verdict.events), encoding="utf-8")
            sys.stderr.write(f"The home of seed {seed} is kept in {home}.\n")
        else:
            shutil.rmtree(home)
        yield verdict


def _line(verdict: Verdict) -> str:
    outcome = "FAILED" if verdict.differences else "ok"
    told = (
        f"seed {verdict.seed:4}  {outcome:6}  {verdict.seconds:5.0f} s  {len(verdict.events):3} events  "
        f"{verdict.harmed:3} requests harmed  {verdict.killed:2} processes killed  "
        f"{verdict.compared:3} bookings compared, {verdict.excused:3} up to people"
    )
    if not verdict.differences:
        return told
    return "\n".join([told, *verdict.events, "", *verdict.differences, "", *verdict.stories])


if __name__ == "__main__":
    sys.exit(main())
