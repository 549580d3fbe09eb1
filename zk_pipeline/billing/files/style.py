"""The style of documents: language, letterhead, font, and whether they are internal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from zk_pipeline.billing.files.words import WORDS
from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import Closing
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.domain.statement import (
    NO_ACTIVITY,
    ZERO,
    CustomerStatement,
    hours,
    other_time_by_origin,
    plain,
    questions_of,
)
from zk_pipeline.domain.statement_rows import AdjustmentLine, StatementItem
from zk_pipeline.languages import Language, actors
from zk_pipeline.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class DocumentStyle:
    """`internal` adds what customers are not shown. Without `font`, a system font is used. `csv` is for CSV.

    `letterhead` and `logo` stand at the top of each page, `footer` at the foot, `text` before a customer's tables.
    `hours` writes minutes as hours in sentences, which else have the exact minutes. `days` and `instants` write days
    and times as the console does.
    """

    zone: ZoneInfo
    letterhead: str = ""
    font: Path | None = None
    language: Language = Language.ENGLISH
    internal: bool = False
    csv: CsvFormat = CsvFormat.PLAIN
    logo: Path | None = None
    text: str = ""
    footer: str = ""
    hours: Callable[[Decimal], str] | None = None
    days: Callable[[date], str] | None = None
    instants: Callable[[datetime], str] | None = None

    def word(self, key: str, **values: object) -> str:
        """A text in the document's language."""
        return WORDS[key][tuple(Language).index(self.language)].format(**values)

    def day(self, day: date) -> str:
        """A day in the language's format."""
        if self.days:
            return self.days(day)
        return {
            Language.ENGLISH: day.isoformat(),
            Language.GERMAN: f"{day:%d.%m.%Y}",
            Language.FRENCH: f"{day:%d/%m/%Y}",
        }[self.language]

    def number(self, digits: str) -> str:
        """A number with the language's decimal mark."""
        return digits if self.language is Language.ENGLISH else digits.replace(".", ",")

    def amount(self, amount: Decimal | None) -> str:
        """An amount with cents, or more digits if the target has them; a dash if it is unknown."""
        if amount is None:
            return "\N{EN DASH}"
        return self.number(f"{amount:.2f}" if amount == round(amount, 2) else plain(amount))

    @classmethod
    def plain(cls) -> "DocumentStyle":
        """English and UTC, for programs."""
        return cls(ZoneInfo("UTC"))

    def instant(self, instant: datetime) -> str:
        """A day and time in the zone."""
        if self.instants:
            return self.instants(instant)
        local = instant.astimezone(self.zone)
        return f"{self.day(local.date())} {local:%H:%M}"

    def credits_sentence(self, minutes: Decimal) -> str:
        """The sentence about open credits; empty without any."""
        return self.word("credits_open", time=self.length(minutes)) if minutes else ""

    def questions_sentence(self, accounts: Sequence[CustomerStatement]) -> str:
        """The sentences about open conflicts and corrections; empty without any."""
        questions = questions_of(accounts)
        listed = ", ".join(
            f"{number} \N{MULTIPLICATION SIGN} {self.word(f'reason.{reason}')} ({self.length(minutes)})"
            for reason, (number, minutes) in questions.items()
        )
        corrections = sum((abs(line.amounts.corrections_open) for row in accounts for line in row.lines), ZERO)
        sentences = [self.word("conflicts_open", listed=listed)] if listed else []
        if corrections:
            sentences.append(self.word("corrections_left", time=self.length(corrections)))
        return " ".join(sentences)

    def other_time_sentence(self, accounts: Sequence[CustomerStatement]) -> str:
        """The sentences about other time in Kimai and Kimai's own sum; empty without any."""
        beside = other_time_by_origin(accounts)
        if not beside:
            return ""
        listed = "; ".join(
            self.word("timesheets.one" if number == 1 else "timesheets.many", number=number)
            + f", {self.length(minutes)}, {self.word(origin)}"
            for origin, (number, minutes) in beside.items()
        )
        whole = self.length(sum((account.kimai_in_all for account in accounts), ZERO))
        about = "beside" if len(accounts) == 1 else "beside_all"
        return f"{self.word(about, listed=listed)} {self.word('kimai_in_all', time=whole)}"

    def activity(self, name: str) -> str:
        """An activity, or in words that a booking has no type."""
        return self.word("no_type") if name == NO_ACTIVITY else name

    def status(self, status: str) -> str:
        """The status of an invoice; one that is not known is shown as Kimai names it."""
        return self.word(f"cell.{status}") if f"cell.{status}" in WORDS else status

    def item_note(self, item: StatementItem) -> str:
        """The note of a time sheet; empty for ordinary bookings."""
        notes = [
            self.word("item.adjusts", day=self.day(item.adjusts)) if item.adjusts else "",
            self.word(f"item.{item.origin}") if item.origin else "",
            "" if item.billable else self.word("item.not_billable"),
        ]
        return "; ".join(filter(None, notes))

    def adjustment_note(self, row: AdjustmentLine) -> str:
        """The note of an adjustment: its other day, and its state."""
        if row.elsewhere:
            key, day = ("adjustment.credited" if row.is_credit else "adjustment.booked"), row.booked_on
        else:
            key, day = "adjustment.credit", row.day
        state = {
            AdjustmentState.OPEN: self.word("adjustment.open"),
            AdjustmentState.SETTLED: self.word("adjustment.settled", note=row.note),
        }.get(row.state, "")
        return "; ".join(filter(None, (self.word(key, day=self.day(day)), state)))

    def minutes(self, minutes: Decimal) -> str:
        """Minutes in the language's format."""
        return self.number(plain(minutes))

    def length(self, minutes: Decimal) -> str:
        """An amount of time in a sentence."""
        return self.hours(minutes) if self.hours else self.word("min", minutes=self.minutes(minutes))

    def time(self, minutes: Decimal) -> str:
        """Minutes as hours, exactly: `12:30`."""
        return self.number(hours(minutes))

    def closing_sentence(self, closing: Closing, *, named: bool = True) -> str:
        """When the month was closed (`named`: by whom), and whether this is the closed statement."""
        by = self.word("by", by=actors.called(closing.by, self.language)) if named else ""
        sentences = [self.word(closing.kind, day=self._day_of(closing.at), by=by, days=closing.stale_days)]
        if closing.reopened_at is not None:
            sentences.append(self.word("reopened", day=self._day_of(closing.reopened_at)))
        if closing.shown and closing.pseudonymized:
            sentences.append(self.word("pseudonymized"))
        return " ".join(sentences)

    def hash_sentence(self, closing: Closing) -> str:
        """The hash of the closed statement."""
        return self.word("hash", hash=closing.hash)

    def _day_of(self, instant: datetime) -> str:
        return self.day(local_day(instant, self.zone))


def document_style(
    settings: Settings,
    language: Language | None = None,
    *,
    internal: bool = False,
    csv: CsvFormat = CsvFormat.PLAIN,
) -> DocumentStyle:
    """The style by the settings; ZK_LANGUAGE unless another language is given."""
    return DocumentStyle(
        settings.zone,
        settings.statement_letterhead,
        settings.statement_font,
        language or settings.language,
        internal,
        csv,
        settings.statement_logo,
        settings.statement_text,
        settings.statement_footer,
    )
