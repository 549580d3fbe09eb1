"""What a statement says about money: amounts and what became of them, invoices, and what does not match them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.invoicing import CANCELED, Comparison
from zk_pipeline.domain.manual_fields import money
from zk_pipeline.domain.statement_rows import Money, Readings, SideRead


def amount_sentences(style: DocumentStyle, row: Money) -> list[str]:
    """What the month costs, what became of it, and the invoices made since it began, as sentences."""
    told = [style.word("amount", amount=_money(style, row))] if row.figures else []
    states = [
        style.word(
            "of_state",
            state=style.word(f"billing.{figure.state}"),
            amount=style.number(money(figure.rates, row.currency)),
            minutes=style.minutes(figure.minutes),
        )
        for figure in row.figures
    ]
    if states:
        told.append("; ".join(states) + ".")
    if row.invoices:
        told.append(style.word("invoices", listed=invoice_list(style, row)))
    if row.compared is not None and row.compared.accepted:
        told.append(accepted_sentence(style, row.compared))
    return told


def customer_sentences(style: DocumentStyle, row: Money) -> list[str]:
    """What the month costs and the invoices that hold, as sentences for the customer; nothing of what costs nothing."""
    valid = replace(row, invoices=tuple(each for each in row.invoices if each.status != CANCELED))
    told = [style.word("amount", amount=_money(style, row))] if row.amount else []
    return [*told, style.word("invoices", listed=invoice_list(style, valid))] if valid.invoices else told


def invoice_list(style: DocumentStyle, row: Money) -> str:
    """The invoices with amounts without tax and status, as a list."""
    return ", ".join(
        f"{each.number} ({style.number(money(each.total - each.tax, row.currency))}, {each.status})"
        for each in row.invoices
    )


def question_sentences(row: Money, style: DocumentStyle | None = None) -> list[str]:
    """What does not match or has no price, each with what to do about it, as sentences."""
    style = style or DocumentStyle.plain()
    told = list(_unpriced(style, row))
    if row.compared is not None and row.compared.difference and not row.compared.accepted:
        key = "too_little_invoiced" if row.compared.difference > 0 else "too_much_invoiced"
        told.append(_difference(style, row.compared, key))
    return told


def accepted_sentence(style: DocumentStyle, found: Comparison) -> str:
    """Who took a difference as it is, and why, as a sentence."""
    return _difference(style, found, "accepted", by=found.accepted)


def reading_sentences(style: DocumentStyle, readings: Readings) -> str:
    """When each side was read last, and what is known of invoices, as sentences."""
    told = [last_read_sentence(style, readings)]
    if readings.invoices_problem:
        told.append(style.word("not_compared", problem=readings.invoices_problem))
    elif readings.compared_at is None:
        told.append(style.word("never_compared"))
    else:
        told.append(style.word("compared", instant=style.instant(readings.compared_at)))
    return " ".join(told)


def last_read_sentence(style: DocumentStyle, readings: Readings) -> str:
    """When each side was read last, as a sentence."""
    sides = (("Zammad", readings.source), ("Kimai", readings.target))
    return style.word("read", sides=", ".join(f"{name} {_side(style, side)}" for name, side in sides))


def sentences_by_customer(style: DocumentStyle, rows: Sequence[Money]) -> list[str]:
    """The amounts and questions of customers, each line with the name of its customer."""
    return [
        f"{row.customer}: {text}"
        for row in rows
        for text in (*amount_sentences(style, row), *question_sentences(row, style))
    ]


def _unpriced(style: DocumentStyle, row: Money) -> Iterator[str]:
    if row.unpriced:
        yield style.word("unpriced", number=row.unpriced)
    if row.unread:
        yield style.word("unread", number=row.unread)


def _difference(style: DocumentStyle, found: Comparison, key: str, by: str = "") -> str:
    return style.word(
        key,
        by=by,
        exported=style.number(money(found.rates, found.currency)),
        invoiced=style.number(money(found.invoiced, found.currency)),
        difference=style.number(money(abs(found.difference), found.currency)),
    )


def _side(style: DocumentStyle, side: SideRead) -> str:
    if side.latest is None or side.oldest is None:
        return style.word("never")
    latest, oldest = style.instant(side.latest), style.instant(side.oldest)
    return latest if latest == oldest else style.word("oldest", latest=latest, oldest=oldest)


def _money(style: DocumentStyle, row: Money) -> str:
    return style.number(money(row.amount, row.currency))
