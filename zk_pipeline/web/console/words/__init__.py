"""The console's texts in each language, and values written as that language writes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.languages import Language, actors, places, reasons, translated
from zk_pipeline.store.counted import COUNTED
from zk_pipeline.web.console.words import (
    account,
    audit,
    connectors,
    dashboard,
    decisions,
    facts,
    mappings,
    marks,
    month,
    reconcile,
    settings,
    shell,
    statement,
    todo,
    top_bar,
    write_back,
)

Texts = Mapping[str, tuple[str, str, str]]
"""A text under its key: English, German, French; `{name}` stands for a value."""

CATALOGS: tuple[Texts, ...] = (
    shell.WORDS,
    top_bar.WORDS,
    account.WORDS,
    settings.WORDS,
    dashboard.WORDS,
    connectors.WORDS,
    mappings.WORDS,
    reconcile.WORDS,
    todo.WORDS,
    reasons.WORDS,
    actors.WORDS,
    places.WORDS,
    decisions.WORDS,
    statement.WORDS,
    month.WORDS,
    audit.WORDS,
    marks.WORDS,
    facts.WORDS,
    write_back.WORDS,
)

_ALL: Texts = {key: texts for catalog in CATALOGS for key, texts in catalog.items()}
_NO_BREAK = "\N{NARROW NO-BREAK SPACE}"
_DASH = "\N{EN DASH}"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


_DAYS: Mapping[Language, Callable[[date], str]] = {
    Language.ENGLISH: lambda day: f"{day.day} {_MONTHS[day.month - 1]} {day.year}",
    Language.GERMAN: lambda day: f"{day:%d.%m.%Y}",
    Language.FRENCH: lambda day: f"{day:%d/%m/%Y}",
}
_MARKS = {Language.ENGLISH: (",", "."), Language.GERMAN: (".", ","), Language.FRENCH: (_NO_BREAK, ",")}
"""Between thousands, and before decimals."""


@dataclass(frozen=True, slots=True)
class Words:
    """Texts and values in one language; instants are shown in `zone`, the business zone."""

    language: Language
    zone: ZoneInfo

    def __call__(self, key: str, **values: object) -> str:
        """The text under this key with the values in it."""
        return _ALL[key][tuple(Language).index(self.language)].format(**values)

    def said(self, text: object) -> str:
        """A sentence that arose elsewhere, such as an error's, in this language."""
        return translated(str(text), self.language)

    def known(self, key: str, otherwise: str) -> str:
        """The text under a key that may be missing, such as that of an event; else what is given."""
        return self(key) if key in _ALL else otherwise

    def count(self, key: str, number: int, **values: object) -> str:
        """The text under `key.one` or `key.many` with the number in it."""
        one = number in {0, 1} if self.language is Language.FRENCH else number == 1
        return self(f"{key}.one" if one else f"{key}.many", number=self.number(number), **values)

    @property
    def csv(self) -> dict[str, str]:
        """What the address of a CSV file also needs, so that a spreadsheet in this language opens it right."""
        return {} if self.language is Language.ENGLISH else {"csv_dialect": CsvFormat.EXCEL.value}

    def number(self, value: int | Decimal) -> str:
        """A number with marks between thousands and before decimals; no decimal is dropped but zeros at the end."""
        thousands, decimals = _MARKS[self.language]
        plain = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
        whole, _, part = plain.partition(".")
        part = part.rstrip("0")
        return whole.replace(",", thousands) + (decimals + part if part else "")

    def counted(self, name: str, number: int) -> str:
        """A name with the number of its rows, which are counted up to `COUNTED`."""
        return f"{name} ({self.number(number)}{'+' if number >= COUNTED else ''})"

    def minutes(self, value: int | Decimal) -> str:
        """An amount of minutes."""
        return f"{self.number(value)}{_NO_BREAK}min"

    def hours(self, minutes: int | Decimal) -> str:
        """An amount of minutes in hours, to the minute: `28 h 43`; `minutes` has the exact amount."""
        whole = int(abs(minutes).to_integral_value(ROUND_HALF_UP)) if isinstance(minutes, Decimal) else abs(minutes)
        sign = "\N{MINUS SIGN}" if minutes < 0 and whole else ""
        if whole < 60:
            return f"{sign}{whole}{_NO_BREAK}min"
        return f"{sign}{self.number(whole // 60)}{_NO_BREAK}h{_NO_BREAK}{whole % 60:02}"

    def percent(self, part: Decimal, whole: Decimal) -> str:
        """A share, to the percent."""
        share = (100 * part / whole).to_integral_value(ROUND_HALF_UP) if whole else Decimal(0)
        return f"{self.number(share)}{_NO_BREAK}%"

    def day(self, day: date) -> str:
        """A day of the calendar."""
        return _DAYS[self.language](day)

    def month(self, month: date) -> str:
        """A month of the calendar."""
        return f"{self(f'month.name.{month.month}')} {month.year}"

    def days(self, first: date, last: date) -> str:
        """Days, both included."""
        return self.day(first) if first == last else f"{self.day(first)} {_DASH} {self.day(last)}"

    def rows(self, first: int, last: int, total: int) -> str:
        """Which rows of how many."""
        shown = f"{self.number(first)}{_DASH}{self.number(last)}"
        return f"{shown} {self('pages.of', total=self.number(total))}"

    def instant(self, instant: datetime) -> str:
        """Day and time in the business zone."""
        local = instant.astimezone(self.zone)
        return f"{self.day(local.date())}, {local:%H:%M}"


def chosen(wanted: str, accepted: str) -> Language:
    """The language that a visitor chose, else the first that the browser accepts, else English.

    `accepted` is the header Accept-Language, whose order is taken as it stands.
    """
    for name in (wanted, *(part.partition(";")[0] for part in accepted.split(","))):
        code = name.strip().lower()[:2]
        if code in set(Language):
            return Language(code)
    return Language.ENGLISH
