"""Requests that a month of new bookings costs through the whole chain, the same month again, and a quiet one."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from benchmarks.harness import Measurement, at_least, at_most, for_information, sync
from benchmarks.push_rate import ASKED_FOR
from benchmarks.world import Booked, booked, month_of

FIRST, LAST = date(2025, 9, 1), date(2025, 9, 30)


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Writes for each new entry at most 1.05; a re-run writes nothing and reads at most 30 times, a quiet one 12 times.

    A month is quiet when the writes of the first run are old, and the re-run left nothing to do.
    A new customer and its project cost a write and a look each. The directory, which each run reads, does not count.
    """
    company, of_directory = month_of(600 if quick else 3_000), dict[bool, int]()
    with booked(company) as systems:
        systems.kimai.configure(now=(datetime.now(UTC) - timedelta(days=1)).isoformat())
        for again in (False, True):
            systems.zammad.reset_requests()
            systems.kimai.reset_requests()
            report = sync(systems.environment, FIRST, LAST)
            of_zammad, of_kimai = systems.zammad.requests(), systems.kimai.requests()
            reads, writes = of_zammad.reads + of_kimai.reads, of_zammad.writes + of_kimai.writes
            systems.kimai.configure(now=None)
            split = f"Zammad {of_zammad.reads}, Kimai {of_kimai.reads}"
            of_directory[again] = sum(
                number for route, number in of_kimai.by_route.items() if route.endswith(("/customers", "/projects"))
            )
            if again:
                in_sync = f"{report.counts.get('in_sync', 0):,} entries in sync"
                yield at_most("Writes of a re-run", writes, 0, "requests", in_sync)
                yield at_most("Reads of a re-run", reads, 30, "requests", split)
                yield for_information("Seconds of a re-run", report.seconds, "s")
                each = (of_directory[False] - of_directory[True]) / company.organizations
                yield at_most("Requests for a new customer with its project", each, 4)
            else:
                created = report.counts.get("created", 0)
                note = f"{writes:,} writes for {created:,} of {company.bookings:,} bookings"
                yield at_most("Writes for each new entry", writes / max(created, 1), 1.05, "", note)
                yield for_information("Reads of a new month", reads, "requests", split)
                yield for_information("Seconds of a new month", report.seconds, "s")
                yield at_least("Entries through the whole chain", 60 * created / report.seconds, ASKED_FOR, "a minute")
        if not quick:
            yield from _quiet(systems)


def _quiet(systems: Booked) -> Iterator[Measurement]:
    """Both systems confirm a month of 3,000 entries; one of 600 is read."""
    systems.zammad.reset_requests()
    systems.kimai.reset_requests()
    report = sync(systems.environment, FIRST, LAST)
    of_zammad, of_kimai = systems.zammad.requests().reads, systems.kimai.requests().reads
    split = f"Zammad {of_zammad}, Kimai {of_kimai}"
    yield at_most("Requests of a quiet month", of_zammad + of_kimai, 12, "requests", split)
    yield for_information("Seconds of a quiet month", report.seconds, "s", "with the run of Dagster")
