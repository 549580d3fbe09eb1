"""What a statement says about money: amounts and what became of them, invoices, and what does not match them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from zk_pipeline.billing.files.look import DocumentStyle
from zk_pipeline.domain.invoicing import CANCELED, Comparison
from zk_pipeline.domain.manual_fields import money
from zk_pipeline.domain.statement_rows import Money, Readings, SideRead


def amounts(look: DocumentStyle, row: Money) -> list[str]:
    """What the month costs, what became of it, and the invoices made since it began, as sentences."""
    told = [look.word("amount", amount=_money(look, row))] if row.figures else []
    states = [
        look.word(
            "of_state",
            state=look.word(f"billing.{figure.state}"),
            amount=look.number(money(figure.rates, row.currency)),
            minutes=look.minutes(figure.minutes),
        )
        for figure in row.figures
    ]
    if states:
        told.append("; ".join(states) + ".")
    if row.invoices:
        told.append(look.word("invoices", listed=invoices(look, row)))
    if row.compared is not None and row.compared.accepted:
        told.append(accepted(look, row.compared))
    return told


def for_customer(look: DocumentStyle, row: Money) -> list[str]:
    """What the month costs and the invoices that hold, as sentences for the customer; nothing of what costs nothing."""
    valid = replace(row, invoices=tuple(each for each in row.invoices if each.status != CANCELED))
    told = [look.word("amount", amount=_money(look, row))] if row.amount else []
    return [*told, look.word("invoices", listed=invoices(look, valid))] if valid.invoices else told


def invoices(look: DocumentStyle, row: Money) -> str:
    """The invoices with amounts without tax and status, as a list."""
    return ", ".join(
        f"{each.number} ({look.number(money(each.total - each.tax, row.currency))}, {each.status})"
        for each in row.invoices
    )


def questions(row: Money, look: DocumentStyle | None = None) -> list[str]:
    """What does not match or has no price, each with what to do about it, as sentences."""
    look = look or DocumentStyle.plain()
    told = list(_unpriced(look, row))
    if row.compared is not None and row.compared.difference and not row.compared.accepted:
        key = "too_little_invoiced" if row.compared.difference > 0 else "too_much_invoiced"
        told.append(_difference(look, row.compared, key))
    return told


def accepted(look: DocumentStyle, found: Comparison) -> str:
    """Who took a difference as it is, and why, as a sentence."""
    return _difference(look, found, "accepted", by=found.accepted)


def read(look: DocumentStyle, readings: Readings) -> str:
    """When each side was read last, and what is known of invoices, as sentences."""
    told = [read_on(look, readings)]
    if readings.invoices_problem:
        told.append(look.word("not_compared", problem=readings.invoices_problem))
    elif readings.compared_at is None:
        told.append(look.word("never_compared"))
    else:
        told.append(look.word("compared", instant=look.instant(readings.compared_at)))
    return " ".join(told)


def read_on(look: DocumentStyle, readings: Readings) -> str:
    """When each side was read last, as a sentence."""
    sides = (("Zammad", readings.source), ("Kimai", readings.target))
    return look.word("read", sides=", ".join(f"{name} {_side(look, side)}" for name, side in sides))


def of_accounts(look: DocumentStyle, rows: Sequence[Money]) -> list[str]:
    """The amounts and questions of customers, each line with the name of its customer."""
    return [f"{row.customer}: {text}" for row in rows for text in (*amounts(look, row), *questions(row, look))]


def _unpriced(look: DocumentStyle, row: Money) -> Iterator[str]:
    if row.unpriced:
        yield look.word("unpriced", number=row.unpriced)
    if row.unread:
        yield look.word("unread", number=row.unread)


def _difference(look: DocumentStyle, found: Comparison, key: str, by: str = "") -> str:
    return look.word(
        key,
        by=by,
        exported=look.number(money(found.rates, found.currency)),
        invoiced=look.number(money(found.invoiced, found.currency)),
        difference=look.number(money(abs(found.difference), found.currency)),
    )


def _side(look: DocumentStyle, side: SideRead) -> str:
    if side.latest is None or side.oldest is None:
        return look.word("never")
    latest, oldest = look.instant(side.latest), look.instant(side.oldest)
    return latest if latest == oldest else look.word("oldest", latest=latest, oldest=oldest)


def _money(look: DocumentStyle, row: Money) -> str:
    return look.number(money(row.amount, row.currency))
