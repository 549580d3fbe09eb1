"""The judgement after a seed: what differs from what must be."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Any

from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.operations import audit
from zk_pipeline.store.embedded import DAGSTER_DATABASE, DATABASE
from zk_pipeline.supervisor.groups import wait_until
from zk_pipeline_tests.chaos.place import Place
from zk_pipeline_tests.defs.oracle import copies_by_us, minutes_kept, unaccounted

SECONDS_TO_REST = 240
"""Dagster gives a run that died before it began three minutes (dagster.yaml)."""

ROUNDS = 5
SECONDS_OF_A_TRANSACTION = 10

UNCLAIMED = "SELECT count(*) FROM sync.day_requests WHERE claimed_by_run IS NULL"
UNFINISHED = "SELECT count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
# The line of a booking that is gone is its time sheet's.
EXCUSED = """
    SELECT COALESCE(c.source_id, p.source_id)
    FROM sync.conflicts c LEFT JOIN sync.pushes p ON p.connector = c.connector AND p.kimai_id = c.kimai_id
    WHERE c.resolution_status IN ('open', 'decided', 'carried_out')
    UNION SELECT key FROM sync.reconciliation_results WHERE decided <> ''
    UNION SELECT source_id FROM sync.adjustments
"""
LINKED = "SELECT source_id, kimai_id FROM sync.pushes WHERE state = 'confirmed' AND kimai_id IS NOT NULL"
OPEN = """
    SELECT pid, xact_start, state, query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as it must be; `reference` is an example for `zk trace`."""

    sentence: str
    reference: str = ""


def differences(place: Place) -> list[Difference]:
    """Catch up once, and tell everything that is wrong then."""
    asked_for = _caught_up(place)
    if asked_for:
        return [asked_for]
    return [*_of_another_sync(place), *wrong_state(place), *_of_the_database(place)]


def wrong_state(place: Place) -> list[Difference]:
    """What Kimai or the books have otherwise than they must, as they are now."""
    return [*_of_minutes(place), *_of_bookings(place)]


def _caught_up(place: Place) -> Difference | None:
    """Sync all days until nothing is asked for any more, and everything has come to rest."""
    for _ in range(ROUNDS):
        for first, last in place.days:
            place.world.sync(first, last)
        if not wait_until(lambda: not _count(place, UNFINISHED, DAGSTER_DATABASE), SECONDS_TO_REST):
            return Difference(f"A run is unfinished {SECONDS_TO_REST} s after the faults stopped.")
        if not _count(place, UNCLAIMED):
            return None
    return Difference(f"Days are still asked for after {ROUNDS} syncs of all of them.")


def _count(place: Place, query: str, database: str = DATABASE) -> int:
    return place.rows(query, database)[0][0]


def _of_minutes(place: Place) -> Iterator[Difference]:
    booked = sum((row.time_unit for row in place.world.desk.server.state.accountings), Decimal(0))
    if (kept := minutes_kept(place.world)) != booked:
        yield Difference(f"{kept} minutes are kept of the {booked} in Zammad.")
    for source_id, number in copies_by_us(place.world, place.people).items():
        yield Difference(f"Booking {source_id} has {number} time sheets.", source_id)
    for source_id, status, action in unaccounted(place.world):
        yield Difference(f"Booking {source_id} is {status} ({action}), and nobody is asked.", source_id)
    rows = {row.id: row for row in place.world.office.rows}
    for row_id, billed in place.people.billed.items():
        if rows.get(row_id) != billed:
            yield Difference(f"Billed time sheet {row_id} was {billed} and is {rows.get(row_id)}.", f"kimai:{row_id}")


def _of_bookings(place: Place) -> Iterator[Difference]:
    """Bookings about which no person has to say or said anything: Kimai holds their minutes, for their agent."""
    expected, found = _expected(place), _found(place)
    billed = {id_ for row in place.people.billed.values() for id_ in marked_ids(row.description or "", "zammad")}
    excused = billed | {key for (key,) in place.rows(EXCUSED)}
    for source_id in sorted((expected.keys() | found.keys()) - excused, key=int):
        booked, held = expected.get(source_id, {}), found.get(source_id, {})
        if not _agree(booked, held):
            yield Difference(f"Booking {source_id} is {_told(booked)} in Zammad and {_told(held)} in Kimai.", source_id)


def _expected(place: Place) -> Mapping[str, Mapping[int, Decimal]]:
    """What Kimai should hold of each booking: the user and the minutes that corrections leave of it."""
    desk, office = place.world.desk, place.world.office
    user_of = {agent: office.users[name] for name, agent in desk.agents.items()}
    expected: defaultdict[str, dict[int, Decimal]] = defaultdict(dict)
    earlier: defaultdict[tuple[object, ...], list[list[Any]]] = defaultdict(list)
    for row in sorted(desk.server.state.accountings, key=lambda row: (row.created_at, row.id)):
        reducible = earlier[row.ticket_id, row.created_by_id, row.type_id]
        if row.time_unit >= 0:
            reducible.append([row, row.time_unit])
            continue
        to_reduce = -row.time_unit
        while to_reduce and reducible:
            part = min(to_reduce, reducible[-1][1])
            reducible[-1][1] -= part
            to_reduce -= part
            if not reducible[-1][1]:
                reducible.pop()
    for row, left in chain.from_iterable(earlier.values()):
        if left:
            expected[str(row.id)][user_of[row.created_by_id]] = left
    return expected


def _found(place: Place) -> Mapping[str, Mapping[int, Decimal]]:
    """What Kimai holds of each booking, by markers and by the links that people decided."""
    linked = {kimai_id: source_id for source_id, kimai_id in place.rows(LINKED)}
    found: defaultdict[str, dict[int, Decimal]] = defaultdict(dict)
    for row in place.world.office.rows:
        ids = {*marked_ids(row.description or "", "zammad"), *filter(None, [linked.get(row.id)])}
        for source_id in filter(str.isdecimal, ids):
            minutes = found[source_id]
            minutes[row.user] = minutes.get(row.user, Decimal(0)) + Decimal(row.duration) / 60
    return found


def _of_the_database(place: Place) -> Iterator[Difference]:
    verified = audit.verify(place.world.environment.runtime)
    if verified.broken_at is not None:
        yield Difference(f"The audit trail is broken at row {verified.broken_at}.")
    for database in (DATABASE, DAGSTER_DATABASE):
        if stuck := _stuck(place, database):
            yield Difference(f"Transactions of {database} stay open: {stuck}.")


def _stuck(place: Place, database: str) -> list[tuple[Any, ...]]:
    """Transactions that are still open after a while."""
    before = set(place.rows(OPEN, database))
    ended = wait_until(lambda: not before & set(place.rows(OPEN, database)), SECONDS_OF_A_TRANSACTION)
    return [] if ended else list(before & set(place.rows(OPEN, database)))


def _of_another_sync(place: Place) -> Iterator[Difference]:
    control = place.world.office.control
    control.reset_requests()
    for first, last in place.days:
        place.world.sync(first, last)
    requests = control.requests()
    if requests.writes:
        written = [f"{line['method']} {line['path']}" for line in requests.log if line["method"] != "GET"]
        yield Difference(f"Another sync wrote: {', '.join(written)}.")


def _agree(booked: Mapping[int, Decimal], held: Mapping[int, Decimal]) -> bool:
    """Whether these are the same users and minutes; Kimai keeps whole minutes (docs/kimai.md §5)."""
    return booked.keys() == held.keys() and all(abs(booked[user] - held[user]) < 1 for user in booked)


def _told(minutes_of_users: Mapping[int, Decimal]) -> str:
    return ", ".join(f"{minutes:.1f} min of user {user}" for user, minutes in minutes_of_users.items()) or "nothing"
