"""A planned day: one booking in sync, one to be created, one without mapping, one typed into Kimai by hand as well."""

from dataclasses import replace

from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.plan import DayInputs
from zk_pipeline.store import conflicts, entries, ledger, plans, target
from zk_pipeline.store.database import Database
from zk_pipeline_tests.domain.builders import (
    DAY,
    at,
    desired,
    entry,
    inputs,
    ledger_row,
    ours,
    reconciler,
    target_directory,
    timesheet,
)

SCRIPT = '<script>alert("Printer")</script>'

MISSING, UNMAPPED, TYPED, SYNCED = "6", "7", "8", "9"
SHEET_TYPED, SHEET_SYNCED = 108, 109


def planned_day() -> DayInputs:
    """The day as reconciliation looks at it."""
    begin = "2025-08-16T11:00"
    synced = ours(SHEET_SYNCED, SYNCED, begin=begin, minutes=60)
    asked = desired(begin=at(begin), seconds=3600)
    return inputs(
        entry(MISSING),
        entry(UNMAPPED, minutes="45", begin="2025-08-16T09:00", activity_type_id="99", activity_name="Juggling"),
        entry(TYPED, minutes="30", begin="2025-08-16T10:00", ticket_title=SCRIPT, organization_name="Globex"),
        entry(SYNCED, minutes="60", begin=begin),
        timesheets=(
            timesheet(SHEET_TYPED, begin="2025-08-16T10:00", minutes=30, description="Ticket #50"),
            synced,
        ),
        ledger=(ledger_row(SYNCED, kimai_id=SHEET_SYNCED, asked=asked, base=synced),),
    )


def store_plan(database: Database, day: DayInputs) -> None:
    """Store everything that a run of the chain up to the plan would have, and what an earlier one had written."""
    with database.transaction() as connection:
        target.save_directory(connection, "kimai", target_directory())
        target.save_timesheets(connection, "kimai", day.timesheets)
        entries.replace_day(connection, "zammad", day.day, day.entries)
        for row in day.ledger.values():
            written = replace(row, operation=Action.CREATE, entry_date=DAY)
            ledger.confirm(connection, "kimai", [written], "run-of-yesterday")
        lines = reconciler().day(day)
        plans.replace_day(connection, "kimai", day.day, lines, "run-of-today")
        conflicts.replace_day(connection, "kimai", day.day, lines)
