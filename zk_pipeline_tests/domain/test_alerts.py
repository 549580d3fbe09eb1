"""What is told to people, and when."""

from datetime import UTC, date, datetime, timedelta

import pytest

from zk_pipeline.observe.alerts import (
    LONGEST_SENTENCE,
    MOST_WAITING,
    AlertMessage,
    AlertRules,
    AlertState,
    Failure,
    failure_message,
    failures_in_a_row,
)

NOON = datetime(2025, 10, 6, 12, tzinfo=UTC)
MONDAY, TUESDAY = date(2025, 10, 6), date(2025, 10, 7)
LINK = "http://127.0.0.1:3000/runs/1"


def trouble(subject: str = "sync", cause: str = "Kimai refuses the token.", days: tuple[date, ...] = ()) -> Failure:
    return Failure(subject, cause, cause, days, LINK)


def rules(after: int = 1, minutes: int = 60) -> AlertRules:
    return AlertRules(after, timedelta(minutes=minutes))


def minutes_later(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def told(book: AlertState, row: Failure, minutes: int, *, in_a_row: int | None = 1) -> tuple[AlertState, bool]:
    book, message = book.after_failure(row, in_a_row, rules(), minutes_later(minutes))
    return book, message is not None


@pytest.mark.parametrize(
    ("after", "in_a_row", "is_told"),
    [(1, 1, True), (3, 1, False), (3, 2, False), (3, 3, True), (3, 4, True), (3, None, True)],
)
def test_people_are_told_from_the_threshold_on(after: int, in_a_row: int | None, is_told: bool) -> None:
    book, message = AlertState().after_failure(trouble(), in_a_row, rules(after), NOON)
    assert (message is not None) is is_told
    assert ("sync" in book.incidents) is is_told


@pytest.mark.parametrize(
    ("again", "minutes", "is_told"),
    [
        (trouble(), 59, False),
        (trouble(), 60, True),
        (trouble(cause="Zammad does not answer."), 1, True),
        (trouble(subject="deep_check"), 1, True),
    ],
    ids=["the same within the quiet period", "the same after it", "another cause", "another job"],
)
def test_the_same_is_told_once_in_a_quiet_period(again: Failure, minutes: int, is_told: bool) -> None:
    book, _ = told(AlertState(), trouble(), 0)
    assert told(book, again, minutes)[1] is is_told


def test_the_same_is_told_again_when_it_was_told_while_the_clock_was_ahead() -> None:
    book, _ = told(AlertState(), trouble(), 60)
    assert told(book, trouble(), 0)[1]


def test_the_quiet_period_goes_on_after_a_recovery() -> None:
    book, _ = told(AlertState(), trouble(), 0)
    book, _ = book.after_recovery("sync", LINK, minutes_later(5))
    book, again = told(book, trouble(), 10)
    assert not again
    assert book.incidents == {}, "nobody was told of this failure, so nobody is told that it is over"


def test_no_quiet_period_tells_of_every_failure() -> None:
    book, _ = AlertState().after_failure(trouble(), 1, rules(minutes=0), NOON)
    assert book.after_failure(trouble(), 2, rules(minutes=0), NOON)[1] is not None


def test_what_lies_further_back_than_the_quiet_period_is_forgotten() -> None:
    book, _ = told(AlertState(), trouble(), 0)
    book, _ = told(book, trouble(cause="Zammad does not answer."), 61)
    assert list(book.told_at.values()) == [minutes_later(61)]


def test_a_recovery_is_told_once_and_only_where_the_failure_was() -> None:
    book, _ = told(AlertState(), trouble(), 0)
    assert book.after_recovery("deep_check", LINK, NOON)[1] is None
    book, message = book.after_recovery("sync", LINK, minutes_later(45))
    assert message == AlertMessage(
        "zk_pipeline: sync works again", f"The latest one succeeded, 45 min after the alert.\n{LINK}", good_news=True
    )
    assert book.after_recovery("sync", LINK, minutes_later(50))[1] is None


def test_an_incident_gathers_the_days_of_its_failures_and_keeps_its_beginning() -> None:
    book, _ = told(AlertState(), trouble(days=(TUESDAY,)), 0)
    book, _ = told(book, trouble(cause="Zammad does not answer.", days=(MONDAY,)), 5)
    assert (book.incidents["sync"].since, book.incidents["sync"].days) == (NOON, (MONDAY, TUESDAY))


def test_a_message_waits_for_each_address_until_it_took_it() -> None:
    book = AlertState().queued(AlertMessage("a", ""), 2).queued(AlertMessage("b", ""), 2)
    book = book.delivered([(1, 1), (1, 2), (2, 1)])
    assert [(row.message.title, row.positions) for row in book.waiting] == [("b", (2,))]


def test_the_oldest_messages_are_dropped_when_too_many_wait() -> None:
    book = AlertState()
    for number in range(MOST_WAITING + 5):
        book = book.queued(AlertMessage(str(number), ""), 1)
    assert (len(book.waiting), book.waiting[0].message.title) == (MOST_WAITING, "5")


@pytest.mark.parametrize(
    ("runs", "count"),
    [
        ([("now", False)], 1),
        ([("now", False), ("a", False), ("b", True), ("c", False)], 2),
        ([("later", True), ("now", False), ("a", False)], 2),
        ([("later", False), ("now", False), ("a", True)], 1),
        ([("a", True)], 1),
    ],
    ids=["alone", "until a success", "a later success", "a later failure", "not found"],
)
def test_failures_in_a_row_are_counted_back_from_the_run(runs: list[tuple[str, bool]], count: int) -> None:
    assert failures_in_a_row(runs, "now") == count


@pytest.mark.parametrize(
    ("days", "title"),
    [
        ((), "zk_pipeline: sync failed"),
        ((MONDAY,), "zk_pipeline: sync failed for 2025-10-06"),
        ((TUESDAY, MONDAY), "zk_pipeline: sync failed for 2025-10-06 to 2025-10-07"),
    ],
)
def test_the_title_names_job_and_days(days: tuple[date, ...], title: str) -> None:
    message = failure_message(trouble(days=days))
    assert message.title == title
    assert message.body.splitlines()[0] == "Kimai refuses the token."
    assert message.body.splitlines()[-1] == LINK


def test_a_sentence_without_end_is_cut() -> None:
    body = failure_message(trouble(cause="word " * 1000)).body
    assert len(body) < LONGEST_SENTENCE + 100
    assert "word …" in body
