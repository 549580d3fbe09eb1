"""`zk backup` and `zk restore` on real databases: what was there comes back, and what is damaged is refused."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline.recovery.databases import BackupError, swap_in
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Start, Zk
from zk_pipeline_tests.credits import credited
from zk_sandbox.demo import demo_mappings_csv

DAYS = ("--from", "2025-10-06", "--to", "2025-10-07")
ALL = {"user": "all", "size": 500}


MAIN = "from zk_pipeline.cli.app import main; main()"


def apart(home: Home, *arguments: str, program: str = MAIN) -> "subprocess.CompletedProcess[str]":
    """Run `zk` as a process of its own, which leaves no connection of Dagster's behind."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**others, **home.variables},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def synced_days(home: Home, *days: str) -> dict[str, Any]:
    result = apart(home, "sync", *days, "--json")
    assert result.returncode in {0, 3}, result.stderr
    return json.loads(result.stdout)


def contents(home: Home) -> dict[str, list[str]]:
    """Every row of the tables that matter, as text."""
    tables = ("zammad.time_accountings", "kimai.timesheets", "sync.pushes", "sync.conflicts", "sync.connectors")
    with home.database() as database, database.transaction() as connection:
        return {
            table: sorted(connection.execute(text(f"SELECT row_to_json(t)::text FROM {table} AS t")).scalars())
            for table in tables
        }


def kimai_of(home: Home) -> httpx.Client:
    """Kimai as a person with its API would use it."""
    headers = {"authorization": f"Bearer {home.variables['ZK_KIMAI_TOKEN']}"}
    return httpx.Client(base_url=home.variables["ZK_KIMAI_URL"], headers=headers, timeout=120, trust_env=False)


@dataclass(frozen=True)
class TwoDays:
    """A home in which two days were synced, and what both systems held then."""

    home: Home
    zammad: dict[str, Any]
    kimai: dict[str, Any]


@pytest.fixture(scope="module")
def two_days(homes: Homes, start: Start, tmp_path_factory: pytest.TempPathFactory) -> TwoDays:
    """Synced once, to be copied by each test that goes on from there."""
    home = homes.new()
    mappings = tmp_path_factory.mktemp("backup") / "mappings.csv"
    mappings.write_text(demo_mappings_csv())
    with start.systems() as systems:
        Zk(home)("mappings", "import", str(mappings))
        synced_days(home, *DAYS)
        return TwoDays(home, systems.zammad.state(), systems.kimai.state())


@pytest.fixture
def zk_home(request: pytest.FixtureRequest, homes: Homes) -> Home:
    """Fresh, or with two days of history for the tests that want `synced`."""
    if "synced" not in request.fixturenames:
        return homes.new()
    return homes.new(request.getfixturevalue("two_days").home, history=True)


@pytest.fixture
def synced(zk_home: Home, sandbox: Sandbox, two_days: TwoDays) -> Home:
    """A home in which two days were synced, as were both systems."""
    sandbox.zammad.restore(two_days.zammad)
    sandbox.kimai.restore(two_days.kimai)
    return zk_home


@pytest.fixture
def backup(zk: Zk, synced: Home, tmp_path: Path) -> Path:
    """A backup of it."""
    return Path(json.loads(zk("backup", "--to", str(tmp_path / "backups"), "--json").stdout)["file"])


@pytest.fixture
def early_backup(zk: Zk, zk_home: Home, tmp_path: Path) -> Path:
    """A backup of a home in which nothing was synced yet."""
    return Path(json.loads(zk("backup", "--to", str(tmp_path), "--json").stdout)["file"])


def test_what_was_there_comes_back_in_empty_databases(zk: Zk, synced: Home, backup: Path, homes: Homes):
    empty = homes.new(empty=True)
    result = Zk(empty)("restore", str(backup))
    assert result.exit_code == 0, result.output
    assert contents(empty) == contents(synced)


def test_the_restored_databases_go_on_without_a_second_time_sheet(zk: Zk, backup: Path, homes: Homes):
    restored = homes.new(empty=True)
    Zk(restored)("restore", str(backup))
    told = synced_days(restored, *DAYS)
    assert (told["created"], told["requests"]["kimai"]["write"]) == (0, 0)


def test_a_database_that_holds_something_is_left_alone(zk: Zk, synced: Home, backup: Path):
    before = contents(synced)
    result = zk("restore", str(backup))
    assert result.exit_code == 1
    assert "is not empty" in result.output
    assert "--replace" in result.output
    assert contents(synced) == before


def test_what_came_after_the_backup_is_replaced_when_that_is_asked_for(zk: Zk, synced: Home, backup: Path):
    before = contents(synced)
    synced_days(synced, "--from", "2025-10-08", "--to", "2025-10-08")
    assert contents(synced) != before
    assert zk("restore", str(backup), "--replace", "--yes").exit_code == 0
    assert contents(synced) == before


def test_time_written_after_the_backup_is_taken_over_by_its_marker(zk: Zk, synced: Home, backup: Path):
    day = ("--from", "2025-10-08", "--to", "2025-10-08")
    written = synced_days(synced, *day)["created"]
    zk("restore", str(backup), "--replace", "--yes")
    again = synced_days(synced, *day)
    assert written > 0
    assert (again["created"], again["linked"]) == (0, written)


def test_a_time_sheet_that_was_moved_in_kimai_since_the_backup_is_found_and_not_doubled(
    zk: Zk, synced: Home, backup: Path
):
    day = ("--from", "2025-10-08", "--to", "2025-10-08")
    assert synced_days(synced, *day)["created"] > 0
    with kimai_of(synced) as kimai:
        ours = [row for row in kimai.get("/api/timesheets", params=ALL).json() if row["begin"] >= "2025-10-08"]
        moved = next(row for row in ours if "[zk-zammad-" in row["description"])
        later = {name: moved[name].replace("2025-10-08", "2025-10-11")[:19] for name in ("begin", "end")}
        kimai.patch(f"/api/timesheets/{moved['id']}", json=later).raise_for_status()
        before = len(kimai.get("/api/timesheets", params=ALL).json())
        zk("restore", str(backup), "--replace", "--yes")
        assert synced_days(synced, *day)["created"] == 0
        assert len(kimai.get("/api/timesheets", params=ALL).json()) == before
    synced_days(synced, *day)
    query = "SELECT kimai_id FROM sync.conflicts WHERE reason = 'kimai_edited'"
    with synced.database() as database, database.transaction() as connection:
        assert moved["id"] in set(connection.execute(text(query)).scalars())


def credit_of(home: Home) -> int:
    """The id of a new credit."""
    with home.database() as database, database.transaction() as connection:
        return credited(connection)


def test_no_adjustment_has_the_id_of_one_that_was_made_after_the_backup(zk: Zk, synced: Home, backup: Path):
    forgotten = credit_of(synced)
    zk("restore", str(backup), "--replace", "--yes")
    assert credit_of(synced) > forgotten + 1


def test_a_backup_with_one_flipped_byte_is_refused_and_nothing_is_touched(zk: Zk, synced: Home, backup: Path):
    before = contents(synced)
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    result = zk("restore", str(backup), "--replace", "--yes")
    assert result.exit_code == 1
    assert "was altered" in result.output
    assert contents(synced) == before


def databases_of(home: Home) -> dict[str, int]:
    """The databases that belong to this home on its server, those moved aside too, with their numbers."""
    query = """
        SELECT datname, oid FROM pg_database
        WHERE datname LIKE '%zk_' || :number OR datname LIKE '%dagster_' || :number
    """
    with home.database() as database, database.transaction() as connection:
        rows = connection.execute(text(query), {"number": home.database_name.removeprefix("zk_")})
        return {row.datname: row.oid for row in rows}


def test_a_dump_that_does_not_come_back_leaves_what_was_there(zk: Zk, zk_home: Home, tmp_path: Path):
    assert zk("connectors", "list").exit_code == 0
    with zk_home.database() as database, database.transaction() as connection:
        # PostgreSQL dumps it, but restores without the search path that the check needs.
        connection.execute(text("CREATE TABLE public.named (id int)"))
        connection.execute(
            text("CREATE FUNCTION public.fits() RETURNS bool LANGUAGE sql AS 'SELECT count(*) >= 0 FROM named'")
        )
        connection.execute(text("CREATE TABLE public.checked (id int CHECK (public.fits()))"))
        connection.execute(text("INSERT INTO public.checked VALUES (1)"))
    made = json.loads(zk("backup", "--to", str(tmp_path), "--json").stdout)["file"]
    before, databases = contents(zk_home), databases_of(zk_home)
    result = zk("restore", made, "--replace", "--yes")
    assert result.exit_code == 1
    assert "pg_restore failed" in result.output
    assert (contents(zk_home), databases_of(zk_home)) == (before, databases)
    assert len(databases) == 2


def test_databases_take_the_places_of_others_all_or_none(homes: Homes):
    old, new = homes.new(empty=True), homes.new(empty=True)
    urls = {old.variables[name]: new.variables[name] for name in ("ZK_DAGSTER_URL", "ZK_DATABASE_URL")}
    with old.database() as database, database.transaction() as connection:
        connection.execute(text("SELECT 1"))
        before = databases_of(new) | databases_of(old)
        with pytest.raises(
            BackupError, match=f"Stop zk up and everything else that uses the database {old.database_name}"
        ):
            swap_in(urls)
    assert databases_of(new) | databases_of(old) == before


RESTORING = """
import os, sys
from zk_pipeline.recovery import databases
from zk_pipeline.cli.app import main

place = getattr(databases, sys.argv[1])
passes = int(sys.argv[2])

def killed(*arguments):
    global passes
    passes -= 1
    return os._exit(9) if passes < 0 else place(*arguments)

setattr(databases, sys.argv[1], killed)
del sys.argv[1:3]
main()
"""


@pytest.mark.parametrize(("place", "done"), [("_rename 0", 0), ("_rename 2", 0), ("_rename 3", 0), ("_drop 1", 1)])
def test_a_restoration_that_is_killed_is_done_with_its_record_or_not_at_all(
    zk_home: Home, early_backup: Path, place: str, done: int
):
    before = databases_of(zk_home)
    killed = apart(zk_home, *place.split(), "restore", str(early_backup), "--replace", "--yes", program=RESTORING)
    assert killed.returncode == 9, killed.stderr
    after = databases_of(zk_home)
    assert len(before) == 2
    assert [number != after[name] for name, number in before.items()] == [bool(done)] * 2
    query = "SELECT count(*) FROM sync.cursors WHERE subject = 'restoration'"
    with zk_home.database() as database, database.transaction() as connection:
        assert connection.execute(text(query)).scalar_one() == done


def test_what_a_killed_restoration_moved_aside_is_named_before_the_next(zk_home: Home, early_backup: Path):
    restore = ("restore", str(early_backup), "--replace", "--yes")
    apart(zk_home, "_drop", "1", *restore, program=RESTORING)
    told = apart(zk_home, *restore)
    assert told.returncode == 1
    assert "it holds what" in told.stderr
    assert "Drop or rename the database" in told.stderr


def test_databases_in_use_are_not_replaced(zk: Zk, synced: Home, backup: Path):
    with synced.database() as database, database.transaction() as connection:
        connection.execute(text("SELECT 1"))
        result = zk("restore", str(backup), "--replace", "--yes")
    assert result.exit_code == 1
    assert "everything else that uses the database" in result.output


def test_nothing_but_a_backup_is_restored(zk: Zk, tmp_path: Path):
    other = tmp_path / "notes.txt"
    other.write_text("not a backup")
    result = zk("restore", str(other))
    assert result.exit_code == 1
    assert "is not a backup" in result.output


def test_the_file_shows_no_name_and_no_token(backup: Path, synced: Home):
    content = backup.read_bytes()
    assert b"Nordlicht" not in content
    assert b"time_accountings" not in content


BACKING_UP = """
import os
from zk_pipeline.recovery import dumps
from zk_pipeline.cli.app import main

dumps._dump = lambda *_: os._exit(9)
main()
"""


def test_what_a_killed_backup_left_goes_with_a_backup_of_another_day(zk: Zk, zk_home: Home, tmp_path: Path):
    directory = tmp_path / "backups"
    back_up = ("backup", "--to", str(directory))
    assert apart(zk_home, *back_up, program=BACKING_UP).returncode == 9
    (left,) = directory.iterdir()
    zk(*back_up)
    assert left.exists()
    yesterday = left.stat().st_mtime - timedelta(days=1, hours=1).total_seconds()
    os.utime(left, (yesterday, yesterday))
    told = zk(*back_up, "--json").stdout
    assert not left.exists()
    assert left.name in json.loads(told)["expired"]


def test_a_backup_is_audited(backup: Path, synced: Home):
    with synced.database() as database, database.transaction() as connection:
        events = connection.execute(text("SELECT event, subject FROM sync.audit_logs WHERE event = 'backup.made'"))
        assert [tuple(event) for event in events] == [("backup.made", f"backup:{backup.name}")]
