"""The statement's sums: exact, whole, and red on a single fraction of a minute."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.statement import (
    Amounts,
    CustomerError,
    DayMinutes,
    OpenConflicts,
    StatementCustomer,
    StatementGap,
    StatementLine,
    Verdict,
    conflict_ages,
    equation_text,
    hours,
    minutes_per_day,
    of_customer,
    plain,
    shares_per_day,
    statement_of,
    total,
)
from zk_pipeline.domain.statement_rows import PARTS, CustomerShare

MONTH = date(2025, 8, 1)
ACME, GLOBEX = StatementCustomer("Acme", 1), StatementCustomer("Globex", 2)

minutes = st.decimals(-100_000, 100_000, places=6)
customers = st.builds(StatementCustomer, st.sampled_from(["Acme", "acme", "Globex", "Öztürk"]), st.integers(0, 2))


@st.composite
def balanced(draw: st.DrawFn) -> Amounts:
    parts = {name: draw(minutes) for name in PARTS}
    return replace(Amounts(draw(st.integers(0, 9))), zammad=sum(parts.values(), Decimal(0)), **parts)


names = st.sampled_from("abc")
lines = st.lists(st.builds(StatementLine, customers, names, names, names, balanced()), max_size=20)


def line(customer: StatementCustomer, **amounts: str | int) -> StatementLine:
    exact = {name: Decimal(value) for name, value in amounts.items()}
    return StatementLine(customer, "Anna", "anna@example.com", "Support", replace(Amounts(1), **exact))


@given(lines)
def test_the_totals_are_the_sums_of_the_lines(given_lines: Sequence[StatementLine]) -> None:
    statement = statement_of(MONTH, given_lines)
    assert statement.total == total(one.amounts for one in given_lines)
    assert sorted(map(repr, statement.lines)) == sorted(map(repr, given_lines))
    for field in fields(Amounts):
        exact = sum((getattr(one.amounts, field.name) for one in given_lines), 0)
        assert getattr(statement.total, field.name) == exact


@given(lines)
def test_lines_that_balance_make_a_statement_that_balances(given_lines: Sequence[StatementLine]) -> None:
    statement = statement_of(MONTH, given_lines)
    assert statement.balanced
    assert statement.total.unexplained == 0


@given(lines.filter(bool), st.sampled_from(("zammad", *PARTS)), st.data())
def test_the_smallest_amount_that_is_missing_anywhere_unbalances_it(
    given_lines: list[StatementLine], name: str, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(given_lines) - 1))
    hidden = given_lines[number].amounts
    less = replace(hidden, **{name: getattr(hidden, name) - Decimal("0.000001")})
    given_lines[number] = replace(given_lines[number], amounts=less)
    assert statement_of(MONTH, given_lines).verdict is Verdict.UNBALANCED


def test_two_gaps_that_even_out_within_a_line_are_told() -> None:
    gaps = [StatementGap(ACME, "1", MONTH, Decimal(1)), StatementGap(ACME, "2", MONTH, Decimal(-1))]
    statement = statement_of(MONTH, [line(ACME, zammad=60, kimai=60)], gaps=gaps)
    assert statement.total.unexplained == 0
    assert statement.verdict is Verdict.UNBALANCED
    assert statement.gaps == tuple(gaps)


def test_waiting_minutes_that_even_out_still_wait() -> None:
    waiting = [line(ACME, zammad=10, waiting=10), line(GLOBEX, zammad=-10, waiting=-10)]
    assert statement_of(MONTH, waiting).verdict is Verdict.WAITING


def test_a_month_without_bookings_balances() -> None:
    assert statement_of(MONTH, []).verdict is Verdict.BALANCED


@pytest.mark.parametrize("wanted", ["Acme", "aCME ", "1", "acme (1)"])
def test_a_customer_is_given_by_name_in_any_case_or_by_number(wanted: str) -> None:
    statement = statement_of(MONTH, [line(GLOBEX, zammad=5, kimai=5), line(ACME, zammad=7, kimai=7)])
    assert [account.customer for account in of_customer(statement, wanted).accounts] == [ACME]
    assert of_customer(statement, wanted).total.zammad == 7


def test_an_unknown_customer_is_answered_with_those_that_may_be_meant() -> None:
    statement = statement_of(MONTH, [line(GLOBEX), line(ACME)])
    with pytest.raises(CustomerError, match=r"no customer 'globexx' .* meant: Globex \(2\)\?"):
        of_customer(statement, "globexx")


NAMED = [
    StatementCustomer("Bäckerei Sonnenschein GmbH", 2),
    StatementCustomer("Meyer KG", 9),
    StatementCustomer("Meyer KG", 10),
    ACME,
]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("bäckerei", "Bäckerei Sonnenschein GmbH (2)?"),
        ("SONNE", "Bäckerei Sonnenschein GmbH (2)?"),
        ("gmbh bäckerei", "Bäckerei Sonnenschein GmbH (2)?"),
        ("Sonnenshein", "Bäckerei Sonnenschein GmbH (2)?"),
        ("Meier", "Meyer KG (9), Meyer KG (10)?"),
        ("kg", "Meyer KG (9), Meyer KG (10)?"),
    ],
)
def test_a_part_of_a_name_is_answered_with_those_that_have_it_and_never_taken(wanted: str, meant: str) -> None:
    statement = statement_of(MONTH, [line(customer) for customer in NAMED])
    with pytest.raises(CustomerError) as told:
        of_customer(statement, wanted)
    assert f"Is one of these meant: {meant} Give the name, or the number." in told.value.args[0]


def test_where_many_may_be_meant_some_are_named_and_the_others_counted() -> None:
    statement = statement_of(MONTH, [line(StatementCustomer(f"Praxis {letter}")) for letter in "ABCDEFG"])
    with pytest.raises(CustomerError, match="Praxis A, Praxis B, Praxis C, Praxis D, Praxis E and 2 more"):
        of_customer(statement, "praxis")


@pytest.mark.parametrize("wanted", ["Initech", "", " ", "0"])
def test_where_nobody_may_be_meant_the_way_to_all_is_told(wanted: str) -> None:
    statement = statement_of(MONTH, [line(StatementCustomer("Globex")), line(ACME)])
    with pytest.raises(CustomerError, match="Leave the customer out to see all"):
        of_customer(statement, wanted)


def test_customers_of_one_name_are_told_apart_by_number() -> None:
    statement = statement_of(MONTH, [line(StatementCustomer("Meyer KG", 9)), line(StatementCustomer("Meyer KG", 10))])
    with pytest.raises(CustomerError, match=r"Meyer KG \(9\), Meyer KG \(10\)"):
        of_customer(statement, "meyer kg")
    assert len(of_customer(statement, "10").accounts) == 1
    alone = statement_of(MONTH, [line(StatementCustomer("Meyer KG", 9)), line(StatementCustomer("Meier KG", 10))])
    assert [account.name for account in statement.accounts] == ["Meyer KG (9)", "Meyer KG (10)"]
    assert [account.name for account in alone.accounts] == ["Meier KG", "Meyer KG"]


def test_the_minutes_of_a_day_are_those_of_all_customers() -> None:
    days = [DayMinutes(customer, MONTH, Decimal(30), Decimal("10.5")) for customer in (ACME, GLOBEX)]
    statement = statement_of(MONTH, [line(ACME), line(GLOBEX)], days)
    assert [(row.day, row.zammad, row.kimai) for row in minutes_per_day(statement)] == [(MONTH, 60, 21)]


def test_the_largest_customers_have_a_share_of_their_own_in_each_day_and_the_others_one_together() -> None:
    days = [MONTH, MONTH + timedelta(days=1)]
    booked = {"A": (5, 0), "B": (60, 10), "C": (0, 30), "D": (1, 1)}
    rows = [
        DayMinutes(StatementCustomer(name), day, Decimal(minutes), Decimal(0))
        for name, of_days in booked.items()
        for day, minutes in zip(days, of_days, strict=True)
    ]
    statement = statement_of(MONTH, [line(StatementCustomer(name)) for name in booked], rows)
    assert shares_per_day(statement, days, 2) == [
        CustomerShare("B", (Decimal(60), Decimal(10))),
        CustomerShare("C", (Decimal(0), Decimal(30))),
        CustomerShare(None, (Decimal(6), Decimal(1))),
    ]
    assert [share.name for share in shares_per_day(statement, days, 4)] == list("BCAD")


def test_conflicts_are_counted_by_age() -> None:
    ages = [OpenConflicts(ACME, days, 1) for days in (0, 1, 6, 7, 29, 30, 400)]
    assert conflict_ages(statement_of(MONTH, [line(ACME)], conflicts=ages).accounts) == (1, 2, 2, 2)


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("0", "0:00"),
        ("750", "12:30"),
        ("-5", "-0:05"),
        ("7.5", "0:07:30"),
        ("59.999999", "1:00"),
        ("0.0025", "0:00:00.15"),
    ],
)
def test_hours_keep_what_is_less_than_a_minute(amount: str, told: str) -> None:
    assert hours(Decimal(amount)) == told


def test_the_equation_names_each_part_that_is_not_zero() -> None:
    amounts = Amounts(
        zammad=Decimal("44.5"), kimai=Decimal(60), rounding=Decimal("-0.5"), corrections_open=Decimal(-15)
    )
    assert equation_text(amounts, str, plain) == "44.5 zammad = 60 kimai - 0.5 rounding - 15 corrections_open"
    assert equation_text(Amounts(zammad=Decimal(1)), str, plain) == "1 zammad = 1 unexplained"
    assert equation_text(Amounts(), str, plain) == "0 zammad = 0"
