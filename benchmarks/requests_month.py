"""Requests that a month of new bookings costs through the whole chain, and the same month once more."""

from collections.abc import Iterator
from datetime import date

from benchmarks.harness import Measurement, at_most, deployment, for_information, sync
from benchmarks.world import filled_kimai, filled_zammad, month_of
from zk_pipeline.domain.mapping_lines import ActivityMapping
from zk_pipeline.sandbox.client import SandboxControl
from zk_pipeline.sandbox.server import SandboxProcess
from zk_pipeline.store import mappings

FIRST, LAST = date(2025, 9, 1), date(2025, 9, 30)


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Writes for each new entry at most 1.05; a re-run writes nothing and reads at most 30 times."""
    company = month_of(600 if quick else 3_000)
    kimai, activities = filled_kimai(company)
    with (
        SandboxProcess() as systems,
        SandboxControl(systems.zammad_url) as zammad_control,
        SandboxControl(systems.kimai_url) as kimai_control,
        deployment(systems) as environment,
    ):
        zammad_control.restore(filled_zammad(company).snapshot())
        kimai_control.restore(kimai.snapshot())
        with environment.runtime.database.transaction() as connection:
            wanted = [ActivityMapping(type_id, None, activity) for type_id, activity in enumerate(activities, start=1)]
            mappings.change(connection, wanted, actor="benchmark", source="zammad", target="kimai")
        for again in (False, True):
            zammad_control.reset_requests()
            kimai_control.reset_requests()
            report = sync(environment, FIRST, LAST)
            of_zammad, of_kimai = zammad_control.requests(), kimai_control.requests()
            reads, writes = of_zammad.reads + of_kimai.reads, of_zammad.writes + of_kimai.writes
            split = f"Zammad {of_zammad.reads}, Kimai {of_kimai.reads}"
            if again:
                in_sync = f"{report.counts.get('in_sync', 0):,} entries in sync"
                yield at_most("Writes of a re-run", writes, 0, "requests", in_sync)
                yield at_most("Reads of a re-run", reads, 30, "requests", split)
                yield for_information("Seconds of a re-run", report.seconds, "s")
            else:
                created = report.counts.get("created", 0)
                note = f"{writes:,} writes for {created:,} of {company.bookings:,} bookings"
                yield at_most("Writes for each new entry", writes / max(created, 1), 1.05, "", note)
                yield for_information("Reads of a new month", reads, "requests", split)
                yield for_information("Seconds of a new month", report.seconds, "s")
