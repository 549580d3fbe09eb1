"""The judgement after a seed: what differs from what must be."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy.exc import OperationalError

from zk_pipeline.audit import trail
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.embedded import DAGSTER_DATABASE, DATABASE
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline_tests.chaos.place import Place
from zk_pipeline_tests.defs.oracle import copies_by_us, minutes_kept, unaccounted
from zk_pipeline_tests.defs.reckoning import reckoned
from zk_pipeline_tests.defs.world import ZONE
from zk_pipeline_tests.tools import slowness

SECONDS_WITHOUT_PROGRESS = 120
"""Two minutes: when what is left to do has not changed for so long, nothing more will come of it."""

SECONDS_TO_CATCH_UP = 300
"""In all. On a quiet machine half a minute passes, after a power cut a minute."""

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_OF_A_TRANSACTION = 10

UNCLAIMED = f"""
    SELECT DISTINCT day, reason FROM sync.day_requests
    WHERE claimed_by_run IS NULL AND day <= (now() AT TIME ZONE '{ZONE.key}')::date
    ORDER BY day, reason
"""
"""Days that have not begun wait until they do: the catch-up asks for them while the clock is ahead."""

UNFINISHED = "SELECT count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
LOOKED_AT = """
    SELECT min((value ->> 'read_at')::timestamptz) FROM sync.cursors
    WHERE (connector, subject) IN (('zammad', 'changes'), ('kimai', 'newest'))
"""
OPEN = """
    SELECT pid, xact_start, state, query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not as it must be; `reference` is an example for `zk trace`."""

    sentence: str
    reference: str = ""


def late(place: Place) -> list[Difference]:
    """Wait until the installation has caught up by itself, nobody running a command; what is left if it does not."""
    began = moved = time.monotonic()
    calm = datetime.now(UTC)
    before: list[Difference] = []
    slow = 1.0
    while wrong := _unfinished(place, calm):
        now = time.monotonic()
        slow = max(slow, slowness())
        if wrong != before:
            before, moved = wrong, now
        if now - moved > slow * SECONDS_WITHOUT_PROGRESS or now - began > slow * SECONDS_TO_CATCH_UP:
            told = f"It has not caught up by itself within {now - began:.0f} s:"
            return [Difference(f"{told} {row.sentence}", row.reference) for row in wrong]
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return []


def differences(place: Place) -> list[Difference]:
    """What is wrong once the installation has caught up."""
    return [*_of_another_sync(place), *wrong_state(place), *_of_the_database(place)]


def _unfinished(place: Place, calm: datetime) -> list[Difference]:
    """What is not done yet, or wrong; the database may still be away.

    Nothing is finished before both systems were looked at since all is `calm`: what happened last may wait for that.
    """
    try:
        asked = ", ".join(f"{day} ({reason})" for day, reason in place.rows(UNCLAIMED))
        unfinished = place.rows(UNFINISHED, DAGSTER_DATABASE)[0][0]
        waiting = [f"Requests for days are open: {asked}."] if asked else []
        waiting += [f"{unfinished} runs are unfinished."] if unfinished else []
        looked_at = place.rows(LOOKED_AT)[0][0]
        waiting += ["Zammad and Kimai were not looked at since."] if looked_at is None or looked_at < calm else []
        return [Difference(sentence) for sentence in waiting] or _wrong_in_kimai(place)
    except (psycopg.OperationalError, DatabaseUnavailableError, OperationalError) as error:
        return [Difference(f"The database is away ({type(error).__name__}).")]


def wrong_state(place: Place) -> list[Difference]:
    """What Kimai or the books have otherwise than they must, as they are now."""
    unasked = [
        Difference(f"Booking {source_id} is {status} ({action}), and nobody is asked.", source_id)
        for source_id, status, action in unaccounted(place.world)
    ]
    return [*_wrong_in_kimai(place), *unasked]


def _wrong_in_kimai(place: Place) -> list[Difference]:
    """What Kimai has otherwise than it must; what the last plan says of it is that of before the writes."""
    wrong = reckoned(place.world, place.people, place.weeks).wrong
    return [*_of_minutes(place), *(Difference(sentence, key) for key, sentence in wrong.items())]


def _of_minutes(place: Place) -> Iterator[Difference]:
    booked = sum((row.time_unit for row in place.world.desk.server.state.accountings), Decimal(0))
    if (kept := minutes_kept(place.world)) != booked:
        yield Difference(f"{kept} minutes are kept of the {booked} in Zammad.")
    for source_id, number in copies_by_us(place.world, place.people).items():
        yield Difference(f"Booking {source_id} has {number} time sheets.", source_id)
    rows = {row.id: row for row in place.world.office.rows}
    for row_id, billed in place.people.billed.items():
        if rows.get(row_id) != billed:
            yield Difference(f"Billed time sheet {row_id} was {billed} and is {rows.get(row_id)}.", f"kimai:{row_id}")


def _of_the_database(place: Place) -> Iterator[Difference]:
    verified = trail.verify(place.world.environment.runtime)
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
