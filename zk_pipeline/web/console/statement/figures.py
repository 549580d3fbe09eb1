"""Names of customers in the statement, and its amounts as columns of a table."""

from collections.abc import Iterable, Sequence

from zk_pipeline.domain.statement import Amounts, StatementCustomer
from zk_pipeline.web.console.widgets import Cell, Column
from zk_pipeline.web.console.words import Words

SIZE = 25
"""Rows of a page."""

_IF_ANY = ("netted", "agreed", "adjusted", "unexplained")
_TITLES = {"waiting": "waits"}
"""Amounts whose column needs a key of its own, since a verdict has theirs."""


def customer_name(words: Words, customer: StatementCustomer) -> str:
    """A customer's name, with the number in Kimai where there is one."""
    return str(customer) if customer.name else words("statement.nobody")


def used_columns(amounts: Iterable[Amounts], always: Sequence[str], if_any: Sequence[str] = ()) -> list[str]:
    """The amounts to show, in their order: those of the second kind, and the rarest, where somebody has minutes."""
    given = list(amounts)
    shown = [part for part in (*if_any, *_IF_ANY) if any(getattr(each, part) for each in given)]
    return [*always, *shown, "to_be_billed"]


def amount_columns(words: Words, names: Sequence[str]) -> list[Column]:
    """A column for each of these amounts."""
    return [Column(words(f"statement.{_TITLES.get(part, part)}"), number=True) for part in names]


def amount_cells(words: Words, names: Sequence[str], amounts: Amounts) -> list[Cell]:
    """These amounts as the cells of a row."""
    return [words.number(getattr(amounts, part)) for part in names]
