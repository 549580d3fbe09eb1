"""Alerts: when a failure or recovery is reported, and the messages. A continuing failure is reported once."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from zk_pipeline.domain.vital_figures import Level, VitalSign, duration_text
from zk_pipeline.observe.vital_signs import SETTLED_AFTER, root_failures

LONGEST_SENTENCE = 1000
SIGN = "sign/"
"""The prefix of vital signs among the subjects of jobs and checks."""

QUESTIONS_SHOWN = 10
"""Conflicts in one message."""

MOST_WAITING = 100
"""Queued messages; the oldest are dropped first."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed job or check. Failures with the same `cause` are the same, whatever their sentences."""

    subject: str
    sentence: str
    cause: str
    days: tuple[date, ...]
    link: str

    @property
    def key(self) -> str:
        """A hash of subject and cause."""
        return hashlib.sha256(f"{self.subject}\n{self.cause}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class AlertRules:
    """The number of failures in a row before an alert, and how long it is not repeated."""

    after: int
    quiet: timedelta


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """The text of an alert."""

    title: str
    body: str
    good_news: bool = False


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A queued message to the addresses at these positions, from 1."""

    number: int
    message: AlertMessage
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Incident:
    """A reported failure that has not recovered."""

    since: datetime
    days: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertState:
    """The stored state: open incidents by subject, when each failure was last reported, queued messages."""

    incidents: Mapping[str, Incident] = field(default_factory=dict[str, Incident])
    told_at: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    waiting: tuple[QueuedMessage, ...] = ()
    last_number: int = 0
    suspects: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    """Failing vital signs that were not reported yet, by subject, and since when they fail."""
    asked: tuple[int, ...] = ()
    """The ids of the open conflicts that were reported."""

    def after_failure(
        self, trouble: Failure, failures_in_a_row: int | None, rules: AlertRules, now: datetime
    ) -> tuple["AlertState", AlertMessage | None]:
        """The state after a failure, and the message, if any. With `None` the threshold does not apply."""
        if failures_in_a_row is not None and failures_in_a_row < rules.after:
            return self, None
        # A time in the future was recorded while the clock was wrong.
        recent = {key: told for key, told in self.told_at.items() if timedelta(0) <= now - told < rules.quiet}
        if trouble.key in recent:
            return replace(self, told_at=recent), None
        before = self.incidents.get(trouble.subject) or Incident(now)
        incident = replace(before, days=tuple(sorted({*before.days, *trouble.days})))
        book = replace(
            self,
            incidents={**self.incidents, trouble.subject: incident},
            told_at={**recent, trouble.key: now},
        )
        return book, failure_message(trouble)

    def after_recovery(self, subject: str, link: str, now: datetime) -> tuple["AlertState", AlertMessage | None]:
        """The state after a success; the recovery of a reported failure is reported."""
        incident = self.incidents.get(subject)
        if incident is None:
            return self, None
        incidents = {name: row for name, row in self.incidents.items() if name != subject}
        return replace(self, incidents=incidents), recovery_message(subject, now - incident.since, link)

    def after_look(
        self, signs: Sequence[VitalSign], rules: AlertRules, link: str, now: datetime
    ) -> tuple["AlertState", list[AlertMessage]]:
        """The state after a measurement of vital signs, and the messages.

        A sign is reported once it has failed for `SETTLED_AFTER`, unless it was reported within the quiet period.
        Signs that were not measured stay as they are.
        """
        book: AlertState = self
        messages: list[AlertMessage] = []
        new = {sign.name for sign in root_failures(signs)}
        for sign in signs:
            subject = f"{SIGN}{sign.name}"
            incident, since = book.incidents.get(subject), book.suspects.get(subject, now)
            if sign.level is Level.FAIL and (incident or sign.name not in new):
                continue
            others = {name: at for name, at in book.suspects.items() if name != subject}
            if sign.level is not Level.FAIL:
                book = replace(book, suspects=others)
                if incident:
                    incidents = {name: row for name, row in book.incidents.items() if name != subject}
                    book = replace(book, incidents=incidents)
                    messages.append(sign_recovery_message(sign.title, now - incident.since))
                continue
            recent = {key: told for key, told in book.told_at.items() if now - told < rules.quiet}
            if now - since < SETTLED_AFTER or subject in recent:
                book = replace(book, suspects={**others, subject: since})
                continue
            messages.append(sign_failure_message(sign, link))
            book = replace(
                book,
                incidents={**book.incidents, subject: Incident(now)},
                told_at={**recent, subject: now},
                suspects=others,
            )
        return book, messages

    def after_questions(self, open_now: Mapping[int, str]) -> tuple["AlertState", AlertMessage | None]:
        """The state given these open conflicts (id to sentence), and one message about the new ones."""
        new = [text for number, text in open_now.items() if number not in self.asked]
        book = replace(self, asked=tuple(sorted(open_now)))
        return book, changed_after_billing_message(new) if new else None

    def queued(self, message: AlertMessage, addresses: int) -> "AlertState":
        """The state with a message queued to this number of addresses."""
        number = self.last_number + 1
        row = QueuedMessage(number, message, tuple(range(1, addresses + 1)))
        return replace(self, waiting=(*self.waiting, row)[-MOST_WAITING:], last_number=number)

    def delivered(self, done: Iterable[tuple[int, int]]) -> "AlertState":
        """The state after deliveries: pairs of message number and address position."""
        gone = set(done)
        left = (
            replace(row, positions=tuple(place for place in row.positions if (row.number, place) not in gone))
            for row in self.waiting
        )
        return replace(self, waiting=tuple(row for row in left if row.positions))


def failures_in_a_row(runs: Iterable[tuple[str, bool]], run_id: str) -> int:
    """The failures in a row up to this run, at least 1; runs are (id, succeeded), newest first."""
    count = 0
    reached = False
    for name, succeeded in runs:
        reached = reached or name == run_id
        if not reached:
            continue
        if succeeded:
            break
        count += 1
    return max(count, 1)


def failure_message(trouble: Failure) -> AlertMessage:
    """The alert about a failed job or check."""
    days = _span(trouble.days)
    sentence = trouble.sentence
    if len(sentence) > LONGEST_SENTENCE:
        sentence = sentence[:LONGEST_SENTENCE].rsplit(" ", 1)[0] + " …"
    lines = [sentence, f"Days: {days}" if days else "", trouble.link]
    return AlertMessage(_failure_title(trouble), "\n".join(line for line in lines if line))


def _failure_title(trouble: Failure) -> str:
    """One sentence for each case: that is how it is recognised and translated."""
    if not trouble.days:
        return f"zk_pipeline: {trouble.subject} failed"
    first, last = min(trouble.days), max(trouble.days)
    if first == last:
        return f"zk_pipeline: {trouble.subject} failed for {first}"
    return f"zk_pipeline: {trouble.subject} failed for {first} to {last}"


def recovery_message(subject: str, lasted: timedelta, link: str) -> AlertMessage:
    """The message about a recovery."""
    minutes = max(1, round(lasted.total_seconds() / 60))
    length = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
    body = "\n".join(line for line in (f"The latest one succeeded, {length} after the alert.", link) if line)
    return AlertMessage(f"zk_pipeline: {subject} works again", body, good_news=True)


def sign_failure_message(sign: VitalSign, link: str) -> AlertMessage:
    """The alert about a failing vital sign."""
    lines = [sign.sentence[:LONGEST_SENTENCE], sign.remedy, link]
    return AlertMessage(f"zk_pipeline: {sign.title}: fails", "\n".join(line for line in lines if line))


def changed_after_billing_message(sentences: Sequence[str]) -> AlertMessage:
    """The alert about billed or closed time that was changed in the target."""
    shown = list(sentences[:QUESTIONS_SHOWN])
    if len(sentences) > len(shown):
        shown.append(f"… and {len(sentences) - len(shown)} more.")
    remedy = "Restore it in Kimai, or keep it in To do."
    return AlertMessage("zk_pipeline: billed time was changed", "\n".join([*shown, remedy]))


def sign_recovery_message(title: str, lasted: timedelta) -> AlertMessage:
    """The message about a vital sign that is good again."""
    body = f"It is good again, {duration_text(lasted)} after the alert."
    return AlertMessage(f"zk_pipeline: {title}: good again", body, good_news=True)


def _span(days: Sequence[date]) -> str:
    if not days:
        return ""
    first, last = min(days), max(days)
    return str(first) if first == last else f"{first} to {last}"
