"""Alerts: what is told to people, and when. The first failure, not each one; and that it works again."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from zk_pipeline.domain.vital_figures import Level, VitalSign, duration_text
from zk_pipeline.observe.vital_signs import SETTLED_AFTER, root_failures

LONGEST_SENTENCE = 1000
SIGN = "sign/"
"""What the subjects of vital signs begin with, beside those of jobs and checks."""

QUESTIONS_SHOWN = 10
"""In one message; the list has them all."""

MOST_WAITING = 100
"""Messages kept for an address that takes none; older ones are dropped first."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something failed: a job, or a check. Failures of one `cause` are the same to people, whatever they say."""

    subject: str
    sentence: str
    cause: str
    days: tuple[date, ...]
    link: str

    @property
    def key(self) -> str:
        """The same for failures of one subject and one cause."""
        return hashlib.sha256(f"{self.subject}\n{self.cause}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class AlertRules:
    """After how many failures in a row people are told, and for how long the same is not said again."""

    after: int
    quiet: timedelta


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """What people read."""

    title: str
    body: str
    good_news: bool = False


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message on its way, to the addresses at these positions (1 is the first)."""

    number: int
    message: AlertMessage
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Incident:
    """People were told that something fails, and not yet that it works again."""

    since: datetime
    days: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertState:
    """All that is remembered: open incidents by subject, when each key was last told, and what waits to be sent."""

    incidents: Mapping[str, Incident] = field(default_factory=dict[str, Incident])
    told_at: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    waiting: tuple[QueuedMessage, ...] = ()
    last_number: int = 0
    suspects: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    """Vital signs that fail and were not told yet, by their incident's subject, and since when they do."""
    asked: tuple[int, ...] = ()
    """The open questions that were reported, by their ids."""

    def after_failure(
        self, trouble: Failure, failures_in_a_row: int | None, rules: AlertRules, now: datetime
    ) -> tuple["AlertState", AlertMessage | None]:
        """The book after a failure, and what is to be told, if anything. `None`: the threshold does not apply."""
        if failures_in_a_row is not None and failures_in_a_row < rules.after:
            return self, None
        # An instant ahead of now was noted while the clock was wrong.
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
        """The book after a success; it is told only where the failure was."""
        incident = self.incidents.get(subject)
        if incident is None:
            return self, None
        incidents = {name: row for name, row in self.incidents.items() if name != subject}
        return replace(self, incidents=incidents), recovery_message(subject, now - incident.since, link)

    def after_look(
        self, signs: Sequence[VitalSign], rules: AlertRules, link: str, now: datetime
    ) -> tuple["AlertState", list[AlertMessage]]:
        """The book after a look at vital signs, and what is to be told: a failure once, and its end once.

        A sign has to fail for `SETTLED_AFTER`, and one that was told within the quiet period is not told again.
        Signs that were not looked at stay as they are.
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
        """The book when these questions are open, as sentences by id: each is reported once, the new ones together."""
        new = [text for number, text in open_now.items() if number not in self.asked]
        book = replace(self, asked=tuple(sorted(open_now)))
        return book, changed_after_billing_message(new) if new else None

    def queued(self, message: AlertMessage, addresses: int) -> "AlertState":
        """The book with a message on its way to so many addresses."""
        number = self.last_number + 1
        row = QueuedMessage(number, message, tuple(range(1, addresses + 1)))
        return replace(self, waiting=(*self.waiting, row)[-MOST_WAITING:], last_number=number)

    def delivered(self, done: Iterable[tuple[int, int]]) -> "AlertState":
        """The book after deliveries: pairs of a message's number and an address's position."""
        gone = set(done)
        left = (
            replace(row, positions=tuple(place for place in row.positions if (row.number, place) not in gone))
            for row in self.waiting
        )
        return replace(self, waiting=tuple(row for row in left if row.positions))


def failures_in_a_row(runs: Iterable[tuple[str, bool]], run_id: str) -> int:
    """How many runs up to this one failed without a success between them; runs are (id, succeeded), newest first."""
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
    """The operator's sentence, the days, and where to look."""
    days = _span(trouble.days)
    sentence = trouble.sentence
    if len(sentence) > LONGEST_SENTENCE:
        sentence = sentence[:LONGEST_SENTENCE].rsplit(" ", 1)[0] + " …"
    lines = [sentence, f"Days: {days}" if days else "", trouble.link]
    title = f"zk_pipeline: {trouble.subject} failed" + (f" for {days}" if days else "")
    return AlertMessage(title, "\n".join(line for line in lines if line))


def recovery_message(subject: str, lasted: timedelta, link: str) -> AlertMessage:
    """That it works again, and how long it did not."""
    minutes = max(1, round(lasted.total_seconds() / 60))
    length = f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
    body = "\n".join(line for line in (f"The last one succeeded, {length} after the alert.", link) if line)
    return AlertMessage(f"zk_pipeline: {subject} works again", body, good_news=True)


def sign_failure_message(sign: VitalSign, link: str) -> AlertMessage:
    """That a vital sign fails, what to do, and where to look."""
    lines = [sign.sentence[:LONGEST_SENTENCE], sign.remedy, link]
    return AlertMessage(f"zk_pipeline: {sign.title}: fails", "\n".join(line for line in lines if line))


def changed_after_billing_message(sentences: Sequence[str]) -> AlertMessage:
    """That billed or closed time was changed in the target: what, and what to do."""
    shown = list(sentences[:QUESTIONS_SHOWN])
    if len(sentences) > len(shown):
        shown.append(f"… and {len(sentences) - len(shown)} more.")
    remedy = "See zk conflicts list --reason changed_after_billing. Put it back in Kimai, or keep it."
    return AlertMessage("zk_pipeline: billed time was changed", "\n".join([*shown, remedy]))


def sign_recovery_message(title: str, lasted: timedelta) -> AlertMessage:
    """That a vital sign is good again."""
    body = f"It is good again, {duration_text(lasted)} after the alert."
    return AlertMessage(f"zk_pipeline: {title}: good again", body, good_news=True)


def _span(days: Sequence[date]) -> str:
    if not days:
        return ""
    first, last = min(days), max(days)
    return str(first) if first == last else f"{first} to {last}"
