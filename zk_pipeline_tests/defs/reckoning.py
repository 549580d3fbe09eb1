"""What Kimai should hold of each booking, reckoned from Zammad apart from the product, and what it does hold."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import text

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline_tests.defs.people import People
from zk_pipeline_tests.defs.world import ZONE, World
from zk_sandbox.kimai.model import Timesheet
from zk_sandbox.zammad.records import Accounting

GRID = 15
# Whose booking is gone is a line of its time sheet: kimai:ID.
EXCUSED = """
    SELECT COALESCE(c.source_id, p.source_id, c.key)
    FROM sync.conflicts c LEFT JOIN sync.pushes p ON p.connector = c.connector AND p.kimai_id = c.kimai_id
    WHERE c.resolution_status IN ('open', 'decided', 'carried_out')
    UNION SELECT key FROM sync.reconciliation_results WHERE decided <> ''
    UNION SELECT source_id FROM sync.adjustments
"""
PAIRS = "SELECT correction_id, reduced_id FROM sync.corrections ORDER BY id"
LINKED = "SELECT kimai_id, source_id FROM sync.pushes WHERE state = 'confirmed' AND kimai_id IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Held:
    """A time sheet as whoever pays for it reads it."""

    user: str
    customer: str
    activity: str
    begin: datetime
    minutes: Decimal

    def __str__(self) -> str:
        begin = self.begin.astimezone(ZONE)
        return f"{self.minutes:.1f} min of {self.user} for {self.customer} ({self.activity}) at {begin:%Y-%m-%d %H:%M}"

    def is_near(self, other: "Held") -> bool:
        """Whether these are the same but for less than a minute; Kimai keeps whole minutes (docs/kimai.md §5)."""
        same = replace(self, minutes=other.minutes) == other
        return same and abs(self.minutes - other.minutes) < 1


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The bookings that were compared, those that a person has a say in, and a sentence for each that is wrong."""

    compared: int
    excused: int
    wrong: Mapping[str, str]


def reckoned(world: World, people: People, synced: tuple[date, date]) -> Reckoned:
    """Compare all bookings, but the one of long ago, about which no person has to say or said anything.

    Of the days outside of those that were synced nothing counts but what a booking's own time sheet was moved to: a
    copy there, or the time sheet of a booking that is gone, is found when that day is synced.
    """
    expected = _expected(world)
    found = _found(world, synced, expected.keys())
    billed = {id_ for row in people.billed.values() for id_ in marked_ids(row.description or "", "zammad")}
    keys = (expected.keys() | found.keys()) - {str(people.old)}
    excused = (billed | _excused(world)) & keys
    wrong = {
        key: f"Booking {key} is {_told(expected.get(key, []))} in Zammad and {_told(found.get(key, []))} in Kimai."
        for key in sorted(keys - excused, key=int)
        if not _agree(expected.get(key, []), found.get(key, []))
    }
    return Reckoned(len(keys - excused), len(excused), wrong)


def _excused(world: World) -> set[str]:
    """Bookings of which a person has to say or said something, about them or about a time sheet that names them."""
    with world.environment.runtime.database.transaction() as connection:
        keys = set(connection.execute(text(EXCUSED)).scalars())
    marked = (marked_ids(row.description or "", "zammad") for row in world.office.rows if f"kimai:{row.id}" in keys)
    return keys.union(*marked)


def _expected(world: World) -> Mapping[str, Sequence[Held]]:
    """One time sheet for each booking of which corrections leave anything."""
    by_name = {agent: name for name, agent in world.desk.agents.items()}
    return {
        str(row.id): [Held(by_name[row.created_by_id], _customer(world, row), _activity(world), _begin(row), left)]
        for row, left in _left(world)
        if left
    }


def _left(world: World) -> Iterator[tuple[Accounting, Decimal]]:
    """The bookings with the minutes that corrections leave.

    Each takes from the booking that a person named, or from the newest ones before it.
    """
    groups: defaultdict[tuple[object, ...], list[tuple[Accounting, Decimal]]] = defaultdict(list)
    rows = {row.id: row for row in world.desk.server.state.accountings}
    units = {row.id: row.time_unit for row in rows.values()}
    with world.environment.runtime.database.transaction() as connection:
        pairs = [tuple(map(int, pair)) for pair in connection.execute(text(PAIRS))]
    paired = {correction for correction, reduced in pairs if units.get(correction, 0) < 0 <= units.get(reduced, -1)}
    for correction, reduced in pairs:
        if correction in paired and units.get(reduced, -1) >= 0:
            part = min(-units[correction], units[reduced])
            units[correction] += part
            units[reduced] -= part
    for row in sorted(rows.values(), key=lambda row: (row.created_at, row.id)):
        group = groups[row.ticket_id, row.created_by_id, row.type_id]
        if row.time_unit >= 0:
            group.append((row, units[row.id]))
            continue
        to_reduce = Decimal(0) if row.id in paired else -units[row.id]
        while to_reduce and group:
            booking, left = group.pop()
            part = min(to_reduce, left)
            to_reduce -= part
            if left > part:
                group.append((booking, left - part))
    for group in groups.values():
        yield from group


def _customer(world: World, row: Accounting) -> str:
    state = world.desk.server.state
    organization = state.tickets[row.ticket_id].organization_id
    return state.organizations[organization].name if organization else ""


def _activity(world: World) -> str:
    return world.office.server.kimai.tables["activities"].rows[world.office.activity].name


def _begin(row: Accounting) -> datetime:
    local = row.created_at.astimezone(ZONE)
    return local.replace(minute=local.minute // GRID * GRID, second=0, microsecond=0).astimezone(UTC)


def _found(world: World, synced: tuple[date, date], there: Collection[str]) -> Mapping[str, Sequence[Held]]:
    """What Kimai holds of each booking, by markers and by the links that people decided; `there` are in Zammad."""
    with world.environment.runtime.database.transaction() as connection:
        linked = {row.kimai_id: row.source_id for row in connection.execute(text(LINKED))}
    found: defaultdict[str, list[Held]] = defaultdict(list)
    for row in world.office.rows:
        own, held = linked.get(row.id), _held(world, row)
        seen = synced[0] <= local_day(held.begin, ZONE) <= synced[1]
        ids = {*marked_ids(row.description or "", "zammad"), *filter(None, [own])}
        for key in filter(str.isdecimal, ids):
            if seen or (key == own and key in there):
                found[key].append(held)
    return found


def _held(world: World, row: Timesheet) -> Held:
    tables = world.office.server.kimai.tables
    by_number = {user: name for name, user in world.office.users.items()}
    customer = tables["customers"].rows[tables["projects"].rows[row.project].customer].name
    activity = tables["activities"].rows[row.activity].name
    begin = datetime.fromtimestamp(row.begin, UTC)
    return Held(by_number[row.user], customer, activity, begin, Decimal(row.duration) / 60)


def _agree(expected: Sequence[Held], found: Sequence[Held]) -> bool:
    return len(expected) == len(found) and all(map(Held.is_near, expected, found))


def _told(rows: Sequence[Held]) -> str:
    return ", ".join(map(str, rows)) or "nothing"
