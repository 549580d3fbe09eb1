"""The balance after the real chain and the real dbt: where each minute went, and that no stage can hide one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.billing import periods
from zk_pipeline.defs.checks import BALANCED
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.domain.statement_rows import PARTS
from zk_pipeline.identity.actors import StaleError
from zk_pipeline.store import conflicts, ledger, quality
from zk_pipeline_tests.dbt_in_process import MODELS
from zk_pipeline_tests.defs.billing import ADMIN
from zk_pipeline_tests.defs.marts.conftest import Marts
from zk_pipeline_tests.defs.world import at

TUESDAY = date(2025, 9, 30)
WEDNESDAY = TUESDAY + timedelta(days=1)


def decide(marts: Marts, booking: int, choice: Choice) -> None:
    """Take a decision about what waits for a booking."""
    (row,) = (row for row in marts.world.conflicts() if row.source_id == str(booking))
    with marts.runtime.database.transaction() as connection:
        conflicts.decide(connection, row.id, choice, actor="tests")


def stretch(marts: Marts, booking: int, minutes: int) -> None:
    """Somebody changes the duration in Kimai."""
    sheet = marts.world.office.sheet(booking)
    marts.world.office.change(sheet, end=sheet.begin + minutes * 60, duration=minutes * 60)


@dataclass
class Month:
    """Bookings by what happened to them. Days of two months, since a correction may cross their border."""

    marts: Marts
    bookings: dict[str, int] = field(default_factory=dict)

    def happen(self) -> None:
        """People book and sync, then edit, decide, delete and bill, and sync again."""
        self._book()
        self.marts.world.sync(TUESDAY, WEDNESDAY)
        self._work_in_kimai()
        self._work_in_zammad()
        self._restore()
        self.marts.world.sync(TUESDAY, WEDNESDAY)
        decide(self.marts, self.bookings["kept"], Choice.KEEP)
        decide(self.marts, self.bookings["written again"], Choice.UPDATE)
        decide(self.marts, self.bookings["ignored"], Choice.IGNORE)
        self.marts.world.sync(TUESDAY, WEDNESDAY)

    def _book(self) -> None:
        desk = self.marts.world.desk
        desk.agents["carla"] = desk.server.add_agent("carla@example.com", firstname="Carla")
        edited = ("billed and edited", "kept", "written again", "edited", "forgotten")
        for number, name in enumerate(("whole", "billed", *edited, "updated", "gone")):
            self.bookings[name] = desk.book(30, at(f"{8 + number:02}:00", TUESDAY), agent="ben", ticket="globex")
        self.bookings["rounded"] = desk.book("7.5", at("17:00", TUESDAY))
        self.bookings["zero"] = desk.book(0, at("17:30", TUESDAY))
        self.bookings["corrected"] = desk.book(60, at("18:00", TUESDAY), ticket="acme")
        self.bookings["correction"] = desk.book(-10, at("09:00", WEDNESDAY), ticket="acme")
        self.bookings["open correction"] = desk.book(-15, at("09:00", WEDNESDAY), agent="ben", ticket="acme")
        self.bookings["unmapped"] = desk.book(45, at("10:00", WEDNESDAY), agent="carla")
        self.bookings["ignored"] = desk.book(25, at("11:00", WEDNESDAY), agent="carla")

    def _work_in_kimai(self) -> None:
        office = self.marts.world.office
        for name in ("billed", "billed and edited", "forgotten"):
            office.change(office.sheet(self.bookings[name]), exported=True)
        for name in ("kept", "written again", "edited", "billed and edited", "forgotten"):
            stretch(self.marts, self.bookings[name], 40)

    def _restore(self) -> None:
        """The databases come back from a backup of before a time sheet was written, which was then moved and billed."""
        key, sheet = str(self.bookings["forgotten"]), self.marts.world.office.sheet(self.bookings["forgotten"])
        later = timedelta(days=3) // timedelta(seconds=1)
        self.marts.world.office.change(sheet, begin=sheet.begin + later, end=sheet.begin + sheet.duration + later)
        self.marts.world.execute("DELETE FROM sync.pushes WHERE source_id = :key", key=key)
        self.marts.world.execute("DELETE FROM kimai.timesheets WHERE id = :id", id=sheet.id)
        now = datetime.now(UTC)
        with self.marts.runtime.database.transaction() as connection:
            ledger.remember(connection, now - timedelta(hours=2), now - timedelta(hours=1))

    def _work_in_zammad(self) -> None:
        server = self.marts.world.desk.server
        server.edit(self.bookings["updated"], units="50")
        server.delete(self.bookings["gone"])


@pytest.fixture(scope="module")
def month(marts: Marts) -> Month:
    month = Month(marts)
    month.happen()
    marts.build()
    return month


def test_every_entry_balances(marts: Marts, month: Month) -> None:
    assert marts.unexplained() == {}


def test_every_booking_is_an_entry_and_so_is_a_time_sheet_without_one(marts: Marts, month: Month) -> None:
    keys = {row["entry_key"] for row in marts.rows("SELECT entry_key FROM marts.fct_time_entries")}
    gone = month.bookings["gone"]
    sheet = marts.world.office.sheet(gone)
    assert keys == {str(id_) for id_ in month.bookings.values() if id_ != gone} | {f"kimai:{sheet.id}"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("whole", {"zammad": 30, "kimai": 30}),
        ("billed", {"zammad": 30, "kimai": 30}),
        ("billed and edited", {"zammad": 30, "kimai": 40, "agreed": -10}),
        ("forgotten", {"zammad": 30, "kimai": 40, "agreed": -10}),
        ("kept", {"zammad": 30, "kimai": 40, "agreed": -10}),
        ("written again", {"zammad": 30, "kimai": 30}),
        ("edited", {"zammad": 30, "kimai": 40, "waiting": -10}),
        ("updated", {"zammad": 50, "kimai": 50}),
        ("rounded", {"zammad": "7.5", "kimai": 8, "rounding": "-0.5"}),
        ("zero", {}),
        ("corrected", {"zammad": 60, "kimai": 50, "netted": 10}),
        ("correction", {"zammad": -10, "netted": -10}),
        ("open correction", {"zammad": -15, "corrections_open": -15}),
        ("unmapped", {"zammad": 45, "waiting": 45}),
        ("ignored", {"zammad": 25, "excluded": 25}),
    ],
)
def test_each_minute_is_where_it_went(marts: Marts, month: Month, name: str, parts: Mapping[str, Any]) -> None:
    assert marts.parts(month.bookings[name]) == {part: Decimal(value) for part, value in parts.items()}


def test_a_time_sheet_whose_booking_is_gone_waits_to_be_taken_away(marts: Marts, month: Month) -> None:
    sheet = marts.world.office.sheet(month.bookings["gone"])
    assert marts.parts(f"kimai:{sheet.id}") == {"kimai": Decimal(30), "waiting": Decimal(-30)}


def test_billed_time_is_not_to_be_billed_again(marts: Marts, month: Month) -> None:
    billed, whole = marts.entry(month.bookings["billed"]), marts.entry(month.bookings["whole"])
    assert (billed["minutes_billed"], billed["minutes_to_be_billed"]) == (30, 0)
    assert (whole["minutes_billed"], whole["minutes_to_be_billed"]) == (0, 30)


@pytest.mark.parametrize("table", ["fct_time_entries", "statement_lines", "agg_monthly_by_customer"])
def test_the_marts_have_the_parts_of_the_statement_in_its_order(marts: Marts, month: Month, table: str) -> None:
    columns = marts.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'marts' AND table_name = :table "
        "AND column_name LIKE 'minutes_%' ORDER BY ordinal_position",
        table=table,
    )
    told = [row["column_name"].removeprefix("minutes_") for row in columns]
    assert told == ["zammad", *PARTS, "unexplained", "billable", "billed", "to_be_billed"]


def test_each_line_of_the_statement_balances_and_the_lines_are_the_whole(marts: Marts, month: Month) -> None:
    lines = marts.rows("SELECT * FROM marts.statement_lines")
    assert len(lines) > 4
    for line in lines:
        assert line["minutes_zammad"] == sum(line[f"minutes_{part}"] for part in (*PARTS, "unexplained")), line
    (raw,) = marts.rows("SELECT sum(units) AS minutes FROM zammad.time_accountings WHERE gone_at IS NULL")
    assert sum(line["minutes_zammad"] for line in lines) == raw["minutes"]
    (kimai,) = marts.rows("SELECT sum(duration_seconds) / 60 AS minutes FROM kimai.timesheets WHERE gone_at IS NULL")
    assert sum(line["minutes_kimai"] for line in lines) == kimai["minutes"]


def test_netting_moves_minutes_over_the_month_and_loses_none(marts: Marts, month: Month) -> None:
    moved = {
        row["month"]: row["minutes"]
        for row in marts.rows("SELECT month, sum(minutes_netted) AS minutes FROM marts.statement_lines GROUP BY month")
    }
    assert moved == {date(2025, 9, 1): 10, date(2025, 10, 1): -10}


@dataclass(frozen=True)
class Hidden:
    """One minute changed in one stage of one booking, behind everybody's back."""

    stage: str
    booking: str
    statement: str
    unexplained: Decimal

    @property
    def key(self) -> str:
        return f"{self.stage} of {self.booking}"


def hidden(stage: str, statement: str, where: str, effects: Mapping[str, int]) -> list[Hidden]:
    return [
        Hidden(stage, booking, f"UPDATE {statement} WHERE {where}", Decimal(minutes))
        for booking, minutes in effects.items()
    ]


ASKED = "sync.pushes SET asked = jsonb_set(asked, '{seconds}', to_jsonb((asked->>'seconds')::int + 60))"
BASE = "sync.pushes SET base = jsonb_set(base, '{duration_seconds}', to_jsonb((base->>'duration_seconds')::int + 60))"
EVERYWHERE = ("whole", "billed", "billed and edited", "kept", "rounded", "corrected", "unmapped", "ignored")
IN_KIMAI = ("whole", "billed", "billed and edited", "kept", "rounded", "corrected")
HIDDEN = [
    *hidden("units", "zammad.time_accountings SET units = units + 1", "id = :key", dict.fromkeys(EVERYWHERE, 1)),
    *hidden(
        "time_minutes",
        "sync.normalized_entries SET time_minutes = time_minutes + 1",
        "source_id = :key",
        dict.fromkeys(EVERYWHERE, 1),
    ),
    *hidden(
        "booked_minutes",
        "sync.normalized_entries SET booked_minutes = booked_minutes + 1",
        "source_id = :key",
        dict.fromkeys(EVERYWHERE, -1),
    ),
    *hidden(
        "the plan's minutes",
        "sync.reconciliation_results SET minutes = minutes + 1",
        "key = :key",
        dict.fromkeys(EVERYWHERE, -1),
    ),
    *hidden("the plan's action", "sync.reconciliation_results SET action = 'none'", "key = :key", {"unmapped": 45}),
    *hidden("what was asked for", ASKED, "source_id = :key", dict.fromkeys(IN_KIMAI, -1)),
    *hidden("what Kimai returned", BASE, "source_id = :key", dict.fromkeys(IN_KIMAI, 1)),
    *hidden(
        "the time sheet",
        "kimai.timesheets SET duration_seconds = duration_seconds + 60",
        "id = (SELECT kimai_id FROM sync.pushes WHERE source_id = :key)",
        dict.fromkeys((*IN_KIMAI, "edited", "updated"), -1),
    ),
    *hidden("the ledger's row", "sync.pushes SET kimai_id = NULL, state = 'failed'", "source_id = :key", {"whole": 30}),
    *hidden(
        "the booking itself", "zammad.time_accountings SET gone_at = now()", "id = :key", {"unmapped": 0, "whole": -30}
    ),
]
STAGES = sorted({change.stage for change in HIDDEN})
TABLES = (
    "zammad.time_accountings",
    "sync.normalized_entries",
    "sync.reconciliation_results",
    "sync.pushes",
    "kimai.timesheets",
)


@pytest.fixture(params=STAGES)
def tampered(request: pytest.FixtureRequest, marts: Marts, month: Month) -> Iterator[list[Hidden]]:
    """One stage changed for every booking that it concerns, and the marts built; afterwards all is as it was."""
    changes = [change for change in HIDDEN if change.stage == request.param]
    for table in TABLES:
        marts.world.execute(f"CREATE TABLE {table}_before AS TABLE {table}")
    for change in changes:
        booking = month.bookings[change.booking]
        marts.world.execute(change.statement.replace(":id", str(booking)).replace(":key", f"'{booking}'"))
    marts.build(options=("--select", "+fct_time_entries", *MODELS))
    yield changes
    for table in TABLES:
        marts.world.execute(f"TRUNCATE {table}")
        marts.world.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")
        marts.world.execute(f"DROP TABLE {table}_before")


def test_a_hidden_minute_in_any_stage_is_unexplained(marts: Marts, month: Month, tampered: list[Hidden]) -> None:
    found = marts.unexplained()
    sheets = {change.booking: marts.world.office.of(month.bookings[change.booking]) for change in tampered}
    told = {
        change.booking: found.get(
            str(month.bookings[change.booking]),
            found.get(f"kimai:{sheets[change.booking][0].id}" if sheets[change.booking] else "", Decimal(0)),
        )
        for change in tampered
    }
    assert told == {change.booking: change.unexplained for change in tampered}
    assert len(found) == len([change for change in tampered if change.unexplained])


def test_all_is_well_again_once_the_minutes_are_back(marts: Marts, month: Month) -> None:
    marts.build(options=MODELS)
    assert marts.unexplained() == {}


def test_the_check_turns_red_on_a_single_minute_and_fails_its_run(marts: Marts, month: Month) -> None:
    booking = month.bookings["whole"]
    marts.world.execute(
        "UPDATE kimai.timesheets SET duration_seconds = duration_seconds + 60 "
        "WHERE id = (SELECT kimai_id FROM sync.pushes WHERE source_id = :key)",
        key=str(booking),
    )
    result = marts.run()
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}[BALANCED]
    assert not result.success
    assert not found.passed
    assert found.description is not None
    assert found.description.startswith(f"{booking} of {TUESDAY}: -1 minutes unexplained. Sync these days again")
    marts.world.sync(TUESDAY)
    again = marts.run()
    assert again.success
    assert {check.check_name: check.passed for check in again.get_asset_check_evaluations()}[BALANCED]


def test_a_minute_that_netting_loses_turns_the_check_red(marts: Marts, month: Month) -> None:
    change = "UPDATE sync.normalized_entries SET open_minutes = open_minutes {} 1 WHERE source_id = :key"
    key = str(month.bookings["open correction"])
    marts.world.execute(change.format("+"), key=key)
    with marts.runtime.database.transaction() as connection:
        assert quality.balance(connection, "zammad", 10).lost_in_netting == 1
    told = "differ by 1 min"
    (day,) = marts.rows("SELECT entry_date FROM sync.normalized_entries WHERE source_id = :key", key=key)
    with pytest.raises(StaleError, match=told):
        periods.close(marts.runtime, ADMIN, month_name(day["entry_date"]), with_waiting=True)
    assert told not in " ".join(periods.closing_state(marts.runtime, "2025-01").objections)
    marts.world.execute(change.format("-"), key=key)
    with marts.runtime.database.transaction() as connection:
        assert quality.balance(connection, "zammad", 10).lost_in_netting == 0
