"""What everything running costs while nothing happens: requests, processor time, memory, and rows of Dagster's."""

import time
from collections.abc import Iterator

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from benchmarks.effort import of_all_processes
from benchmarks.harness import Measurement, at_most, for_information
from benchmarks.running import Running, everything_running

SECONDS_TO_SETTLE = 40
SECONDS_A_DAY = 86400
TICKS, RUNS = "job_ticks", "runs"


def measure(*, quick: bool) -> Iterator[Measurement]:
    """At most three requests a minute to Zammad and two to Kimai, 3 % of a core, 500 MB, and 1 MB a day."""
    minutes = 1 if quick else 5
    with everything_running() as running:
        home = running.environment.home
        running.environment.runtime.database.close()  # The connections of this process are none of the installation's.
        time.sleep(SECONDS_TO_SETTLE)
        running.zammad_control.reset_requests()
        running.kimai_control.reset_requests()
        sizes, before = _dagster_bytes(running), of_all_processes(running.up, home)
        time.sleep(60 * minutes)
        after, grown = of_all_processes(running.up, home), _dagster_bytes(running)
        of_zammad, of_kimai = running.zammad_control.requests(), running.kimai_control.requests()
    note = f"{of_zammad.reads} in {minutes} min"
    yield at_most("Requests to Zammad", of_zammad.reads / minutes, 3, "a minute", note)
    yield at_most("Requests to Kimai", (of_kimai.reads + of_kimai.writes) / minutes, 2, "a minute")
    share = 100 * (after.processor_seconds - before.processor_seconds) / (60 * minutes)
    yield at_most("Processor time of all processes", share, 3, "% of a core", f"{after.number} processes")
    yield at_most("Memory of all processes (PSS)", after.megabytes, 500, "MB")
    days = 60 * minutes / SECONDS_A_DAY
    others = sum(grown.values()) - sum(sizes.values()) - (ticks := grown[TICKS] - sizes[TICKS])
    note = "without ticks" + (", but with a scheduled run: repeat it" if grown[RUNS] > sizes[RUNS] else "")
    yield at_most("Dagster's tables grow by", others / days / 1e6, 1, "MB a day", note)
    yield for_information("Ticks, removed after two days", ticks / days / 1e6, "MB a day")


def _dagster_bytes(running: Running) -> dict[str, int]:
    """Bytes of the rows in each of Dagster's tables, whose files grow in steps."""
    url = running.environment.runtime.settings.dagster_url
    if url is None:
        raise RuntimeError("The deployment has no database for Dagster.")
    plain = make_url(url.get_secret_value()).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        size = "SELECT coalesce(sum(pg_column_size(rows)), 0) FROM {} AS rows"
        sizes = [connection.execute(sql.SQL(size).format(sql.Identifier(name))).fetchone() for (name,) in names]
    return {name: int(row[0]) if row else 0 for (name,), row in zip(names, sizes, strict=True)}
