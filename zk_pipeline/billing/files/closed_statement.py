"""The stored form of a closed statement, its hash, and reading it back."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from pydantic import TypeAdapter

from zk_pipeline.billing.files.data import AccountView, StatementView, to_view
from zk_pipeline.domain.periods import fingerprint, parse_month
from zk_pipeline.domain.statement import (
    ZERO,
    Amounts,
    CustomerStatement,
    DayMinutes,
    Statement,
    StatementCustomer,
    StatementLine,
    with_namesakes,
)
from zk_pipeline.domain.statement_rows import AdjustmentLine, AdjustmentRow, ItemRow, OtherTime, StatementItem

_OF_INVOICING = ("billed", "to_be_billed")
"""Amounts that change when a closed month is exported or invoiced."""

_MINUTES: Any = {"minutes": set(_OF_INVOICING)}
_OF_THE_MOMENT: Any = {
    **dict.fromkeys(("built_at", "stale_days", "closing", "readings", "conflicts", "credits_open", "money"), True),
    **_MINUTES,
    "customers": {
        "__all__": {
            **dict.fromkeys(("conflicts", "credits_open", "money"), True),
            **_MINUTES,
            "lines": {"__all__": _MINUTES},
        }
    },
}


def closing_content(statement: Statement) -> dict[str, Any]:
    """The JSON object that a closing stores: without what changes later (docs/billing.md)."""
    return TypeAdapter(StatementView).dump_python(to_view(statement), mode="json", exclude=_OF_THE_MOMENT)


def statement_hash(content: Mapping[str, Any]) -> str:
    """The hash of a stored statement. It covers minutes only: amounts may change until the invoice, credits later."""
    customers = [
        {
            **{name: value for name, value in customer.items() if name != "adjustments"},
            **({"items": [_without_amount(item) for item in customer["items"]]} if "items" in customer else {}),
        }
        for customer in content["customers"]
    ]
    return fingerprint({**content, "customers": customers})


def statement_from_closing(content: Mapping[str, Any]) -> Statement:
    """The statement from its stored content. It balances, so it has no gaps.

    What was billable at closing was to be billed then. Older versions stored no items.
    """
    older = "to_be_billed" in content["minutes"]
    accounts = TypeAdapter(list[AccountView]).validate_python(
        [{**account, "conflicts": {}, "credits_open": 0} for account in content["customers"]]
    )
    parts = [_account(account, older=older) for account in accounts]
    return Statement(parse_month(content["month"]), with_namesakes(parts))


def without_invoicing(line: StatementLine) -> StatementLine:
    """The line without the amounts that change by export or invoicing."""
    return replace(line, amounts=replace(line.amounts, **dict.fromkeys(_OF_INVOICING, ZERO)))


def _account(account: AccountView, *, older: bool) -> CustomerStatement:
    customer = account.customer
    return CustomerStatement(
        customer,
        tuple(
            StatementLine(customer, line.agent, line.agent_email, line.activity, _at_closing(line.minutes, older=older))
            for line in account.lines
        ),
        tuple(DayMinutes(customer, row.day, row.zammad, row.kimai) for row in account.days),
        beside=tuple(OtherTime(customer, row.origin, row.timesheets, row.minutes) for row in account.beside),
        items=tuple(StatementItem(**_with_customer(customer, row)) for row in account.items),
        adjustments=tuple(AdjustmentLine(**_with_customer(customer, row)) for row in account.adjustments),
    )


def _with_customer(customer: StatementCustomer, row: ItemRow | AdjustmentRow) -> dict[str, Any]:
    return {"customer": customer, **{field.name: getattr(row, field.name) for field in fields(row)}}


def _at_closing(amounts: Amounts, *, older: bool) -> Amounts:
    """The amounts with what was to be billed at closing, which only older versions stored."""
    return amounts if older else replace(amounts, to_be_billed=amounts.billable)


def _without_amount(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "amount"}
