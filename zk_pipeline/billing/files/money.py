"""Sentences about money: amounts, billing states, invoices, and differences."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.invoicing import CANCELED, Comparison
from zk_pipeline.domain.manual_fields import money
from zk_pipeline.domain.statement_rows import Money, Readings, SideRead
from zk_pipeline.languages import actors, translated


def amount_sentences(style: DocumentStyle, row: Money) -> list[str]:
    """Sentences about the amount of the month, its billing states, and invoices since it began."""
    sentences = [style.word("amount", amount=_money(style, row))] if row.figures else []
    states = [
        style.word(
            "of_state",
            state=style.word(f"billing.{figure.state}"),
            amount=style.number(money(figure.rates, row.currency)),
            time=style.length(figure.minutes),
        )
        for figure in row.figures
    ]
    if states:
        sentences.append("; ".join(states) + ".")
    if row.invoices:
        sentences.append(style.word("invoices", listed=invoice_list(style, row)))
    if row.compared is not None and row.compared.accepted:
        sentences.append(accepted_sentence(style, row.compared))
    return sentences


def customer_sentences(style: DocumentStyle, row: Money) -> list[str]:
    """Sentences for the customer: the amount, if any, and valid invoices."""
    valid = replace(row, invoices=tuple(each for each in row.invoices if each.status != CANCELED))
    sentences = [style.word("amount", amount=_money(style, row))] if row.amount else []
    return [*sentences, style.word("invoices", listed=invoice_list(style, valid))] if valid.invoices else sentences


def invoice_list(style: DocumentStyle, row: Money) -> str:
    """A list of the invoices with net amounts and status."""
    return ", ".join(
        f"{each.number} ({style.number(money(each.total - each.tax, row.currency))}, {style.status(each.status)})"
        for each in row.invoices
    )


def question_sentences(row: Money, style: DocumentStyle | None = None) -> list[str]:
    """Sentences about differences and missing prices, with remedies."""
    style = style or DocumentStyle.plain()
    sentences = list(_unpriced(style, row))
    if row.compared is not None and row.compared.difference and not row.compared.accepted:
        key = "too_little_invoiced" if row.compared.difference > 0 else "too_much_invoiced"
        sentences.append(_difference(style, row.compared, key))
    return sentences


def accepted_sentence(style: DocumentStyle, found: Comparison) -> str:
    """A sentence about an accepted difference: by whom, and why."""
    return _difference(
        style, found, "accepted", by=f"{actors.called(found.accepted_by, style.language)}: {found.accepted}"
    )


def reading_sentences(style: DocumentStyle, readings: Readings) -> str:
    """Sentences about when both systems were read, and when invoices were compared."""
    sentences = [last_read_sentence(style, readings)]
    if readings.invoices_problem:
        sentences.append(style.word("not_compared", problem=translated(readings.invoices_problem, style.language)))
    elif readings.compared_at is None:
        sentences.append(style.word("never_compared"))
    else:
        sentences.append(style.word("compared", instant=style.instant(readings.compared_at)))
    return " ".join(sentences)


def last_read_sentence(style: DocumentStyle, readings: Readings) -> str:
    """A sentence about when both systems were read."""
    sides = (("Zammad", readings.source), ("Kimai", readings.target))
    return style.word("read", sides=", ".join(f"{name} {_side(style, side)}" for name, side in sides))


def sentences_by_customer(style: DocumentStyle, rows: Sequence[Money]) -> list[str]:
    """Amounts and questions, each with the customer's name."""
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
