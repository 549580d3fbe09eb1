"""What differs from the target's own answer was set by hand, and stays known as such whatever we write meanwhile."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.domain.manual_fields import NOTHING, ManualFields, as_base, set_by_hand, unkept_fields_text
from zk_pipeline.domain.records import Timesheet
from zk_pipeline_tests.domain.builders import timesheet

HOUR = 3600


def _sheet(**changes: Any) -> Timesheet:
    """An hour at 140, as the target answers a write."""
    told = {"duration_seconds": HOUR, "rate": Decimal(140), "hourly_rate": Decimal(140)}
    return replace(timesheet(), **(told | changes))


def _listed(row: Timesheet) -> Timesheet:
    """The same row as a list tells it."""
    return replace(row, hourly_rate=None, fixed_rate=None)


@pytest.mark.parametrize(
    ("edited", "theirs"),
    [
        ({}, NOTHING),
        ({"billable": False}, ManualFields(billable=False)),
        ({"hourly_rate": Decimal(200), "rate": Decimal(200)}, ManualFields(hourly_rate=Decimal(200))),
        ({"fixed_rate": Decimal(50)}, ManualFields(hourly_rate=Decimal(140), fixed_rate=Decimal(50))),
        ({"duration_seconds": 1800, "rate": Decimal(70)}, NOTHING),
        ({"project_id": 99, "hourly_rate": Decimal(90), "billable": False}, NOTHING),
        ({"hourly_rate": None, "rate": None}, NOTHING),
    ],
    ids=["nothing", "billable", "hour", "fixed", "shorter", "moved", "untold"],
)
def test_what_differs_from_the_answer_to_our_write_was_set_by_hand(
    edited: dict[str, Any], theirs: ManualFields
) -> None:
    assert set_by_hand(_sheet(**edited), _sheet()) == theirs


@pytest.mark.parametrize(
    ("hour", "by_hand"), [("140", False), ("139.99", True), ("200", True)], ids=["same", "a cent less", "more"]
)
def test_a_base_out_of_a_list_tells_the_rate_by_its_amount(hour: str, by_hand: bool) -> None:
    base = _listed(_sheet(duration_seconds=400, rate=Decimal("15.5556")))
    row = _sheet(duration_seconds=HOUR, rate=Decimal(hour), hourly_rate=Decimal(hour))
    assert set_by_hand(row, base).has_rate is by_hand


def test_a_sheet_that_cost_nothing_gets_the_rate_of_the_next_save() -> None:
    unpriced = _sheet(rate=Decimal(0), hourly_rate=Decimal(0))
    assert set_by_hand(_sheet(), unpriced) == NOTHING
    assert set_by_hand(_sheet(), _listed(unpriced)) == NOTHING


@pytest.mark.parametrize("later", [{}, {"duration_seconds": 1800}, {"description": "x"}])
@pytest.mark.parametrize("seen", [_sheet, lambda **changes: _listed(_sheet(**changes))], ids=["alone", "in a list"])
def test_what_was_set_stays_known_after_writes_that_move_nothing(later: dict[str, Any], seen: Any) -> None:
    theirs = {"billable": False, "hourly_rate": Decimal(200), "rate": Decimal(200)}
    base = as_base(seen(**theirs, **later), _sheet(), NOTHING)
    assert set_by_hand(_sheet(**theirs, **later), base) == ManualFields(billable=False, hourly_rate=Decimal(200))


def test_what_we_sent_back_with_a_move_stays_known() -> None:
    sent = ManualFields(billable=False, hourly_rate=Decimal(200))
    moved = _sheet(project_id=99, billable=False, hourly_rate=Decimal(200), rate=Decimal(200))
    assert set_by_hand(moved, as_base(moved, _sheet(), sent)) == sent


def test_what_people_moved_themselves_is_as_the_target_made_it_there() -> None:
    moved = _sheet(project_id=99, hourly_rate=Decimal(90), rate=Decimal(90))
    assert as_base(moved, _sheet(), NOTHING) == moved
    assert set_by_hand(moved, as_base(moved, _sheet(), NOTHING)) == NOTHING


def test_it_comes_back_from_the_ledger_as_it_was() -> None:
    for theirs in (NOTHING, ManualFields(billable=False), ManualFields(None, Decimal("199.99"), Decimal(5))):
        assert ManualFields.from_json(theirs.to_json()) == theirs
    assert ManualFields.from_json(None) == NOTHING


def test_the_question_names_both_amounts() -> None:
    theirs = ManualFields(hourly_rate=Decimal(200))
    assert unkept_fields_text(theirs, 1800, Decimal(140), "EUR") == (
        "Somebody set its rate in Kimai: it costs 100.00 EUR with that. "
        "Moved, it would cost 70.00 EUR at Kimai's own rate there."
    )
    assert "which no time sheet shows yet" in unkept_fields_text(theirs, 1800, None, "EUR")
    assert unkept_fields_text(ManualFields(billable=False), 1800, None, "EUR") == (
        "Somebody made it not billable in Kimai. Moved, it may become billable."
    )
