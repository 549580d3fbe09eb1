"""What the parts of the section share: names of customers, amounts as columns, and the style of sentences."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from zk_pipeline.billing.files.style import DocumentStyle, document_style
from zk_pipeline.domain.statement import Amounts, CustomerStatement, StatementCustomer
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column
from zk_pipeline.web.console.words import Words

SIZE = 25
"""Rows of a page."""

_ALWAYS = ("zammad", "kimai", "waiting")
_IF_ANY = ("excluded", "rounding", "corrections_open", "netted", "agreed", "adjusted", "unexplained")
_TITLES = {"waiting": "waits"}
"""Amounts whose column needs a key of its own, since a verdict has theirs."""


def customer_name(words: Words, customer: StatementCustomer | CustomerStatement) -> str:
    """A customer's name; of a part of a statement with the number where another customer there has the same name."""
    return customer.name or words("statement.nobody")


def used_columns(amounts: Iterable[Amounts]) -> list[str]:
    """The amounts to show, in their order: those that always matter, and the others where somebody has minutes."""
    given = list(amounts)
    return [*_ALWAYS, *(part for part in _IF_ANY if any(getattr(each, part) for each in given)), "to_be_billed"]


def amount_columns(words: Words, names: Sequence[str]) -> list[Column]:
    """A column for each of these amounts."""
    return [Column(words(f"statement.{_TITLES.get(part, part)}"), number=True) for part in names]


def amount_cells(words: Words, names: Sequence[str], amounts: Amounts) -> list[Cell]:
    """These amounts as the cells of a row."""
    return [time_cell(words, getattr(amounts, part)) for part in names]


def time_cell(words: Words, minutes: Decimal) -> Cell:
    """An amount of time as a cell."""
    return lambda: widgets.hours(words, minutes)


def style_for(visit: Visit) -> DocumentStyle:
    """That of the documents, in the visitor's language, with time in hours and days as on all pages."""
    return replace(_exact_style(visit), hours=visit.words.hours)


def sentence(visit: Visit, write: Callable[[DocumentStyle], str], classes: str = "") -> None:
    """What is written in a style, in a paragraph, with the exact minutes on hover; nothing where it is empty."""
    written, exact = write(style_for(visit)), write(_exact_style(visit))
    if written:
        made = widgets.text("p", written, classes)
        if exact != written:
            made.props["title"] = exact


def _exact_style(visit: Visit) -> DocumentStyle:
    words = visit.words
    style = document_style(visit.runtime.settings, words.language)
    return replace(style, days=words.day, instants=words.instant)
