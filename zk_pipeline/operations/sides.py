"""Both sides of a line of the plan, field by field, and the time sheets that might be its partner."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from zk_pipeline.domain.decision import difference
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.matching import Tier
from zk_pipeline.domain.plan import Result
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.rounding import WHOLE_MINUTES
from zk_pipeline.domain.sides import Names, Side, compared
from zk_pipeline.operations.links import Links
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import entries, target


@dataclass(frozen=True, slots=True)
class Partner:
    """A time sheet that might belong to the booking; `kind` is `the same` or `similar`, `score` 0 to 100."""

    timesheet_id: int
    score: int
    kind: str
    fields: Mapping[str, str]
    url: str | None


@dataclass(frozen=True, slots=True)
class BothSides:
    """What the booking wants and what the time sheet says, and the candidates, best first."""

    sides: tuple[Side, ...]
    candidates: tuple[Partner, ...]


def both_sides(
    connection: Connection,
    runtime: Runtime,
    links: Links,
    line: Result | None,
    *,
    source_id: str | None,
    kimai_id: int | None,
) -> BothSides:
    """The sides of a booking and a time sheet, as the line of the plan wants them where there is one."""
    connector = links.addresses.target
    candidates = line.candidates if line else ()
    ids = {kimai_id or 0, *(candidate.timesheet_id for candidate in candidates)}
    sheets = target.timesheets_by_id(connection, connector, ids)
    names = Names(target.load_directory(connection, connector), runtime.settings.zone)
    entry = entries.entry_of(connection, links.addresses.source, source_id or "")
    partners = (
        Partner(
            candidate.timesheet_id,
            candidate.score,
            "the same" if candidate.tier is Tier.SAME else "similar",
            names.of_timesheet(sheets[candidate.timesheet_id]),
            links.timesheet(candidate.timesheet_id),
        )
        for candidate in candidates
        if candidate.timesheet_id in sheets
    )
    return BothSides(tuple(_sides(names, line, entry, sheets.get(kimai_id or 0))), tuple(partners))


def _sides(names: Names, line: Result | None, entry: Entry | None, sheet: Timesheet | None) -> list[Side]:
    """The booking as it would be written, or in Zammad's words where that is not known; and the time sheet."""
    found = names.of_timesheet(sheet) if sheet else {}
    if line is None or line.draft is None:
        return compared(names.of_entry(entry) if entry else {}, found, ())
    differing = line.diff or (difference(line.draft.desired, sheet, WHOLE_MINUTES) if sheet else {})
    return compared(names.of_draft(line.draft), found, differing.keys())
