"""What the suite says to the author of a faulty connector: a sentence, which pytest does not make of its assertions."""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from zk_pipeline.connectors import conformance
from zk_pipeline.connectors.checks import Validation
from zk_pipeline.connectors.conformance import SourceConformance
from zk_pipeline.connectors.contract import Endpoint, Sweep, SweepReport
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.records import BookingKey, Existence, SourceDirectory, Ticket, TimeAccounting, Window
from zk_pipeline_tests.connectors.conftest import DAY, TOKEN
from zk_sandbox.zammad import ZammadServer

MONTH = Window(DAY, DAY + timedelta(days=1))
SUITE = SourceConformance()

Read = list[list[TimeAccounting] | SweepReport]


class Faulty(ZammadConnector):
    """Zammad's connector, whose parts of a sweep pass through `spoilt`."""

    def spoilt(self, parts: Read) -> Read:
        return parts

    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        def read() -> Iterator[list[TimeAccounting] | SweepReport]:
            sweep = super(Faulty, self).fetch(window, hint=hint)
            pages = list(sweep.pages())
            yield from self.spoilt([*pages, sweep.report])

        return Sweep(read)


class YieldsAnEmptyPage(Faulty):
    def spoilt(self, parts: Read) -> Read:
        return parts if len(parts) > 1 else [[], *parts]


class ReportsFirst(Faulty):
    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        sweep = super().fetch(window, hint=hint)
        list(sweep.pages())
        return sweep


class ReportsNothing(Faulty):
    def spoilt(self, parts: Read) -> Read:
        return parts[:-1]


class IgnoresTheWindow(Faulty):
    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        del window
        return super().fetch(MONTH, hint=hint)


class NewestFirst(Faulty):
    def spoilt(self, parts: Read) -> Read:
        return [part[::-1] if isinstance(part, list) else part for part in parts]


class Twice(Faulty):
    def spoilt(self, parts: Read) -> Read:
        return [parts[0], *parts]


class LocalTime(Faulty):
    def spoilt(self, parts: Read) -> Read:
        return [[_local(row) for row in part] if isinstance(part, list) else part for part in parts]


class NobodyFound(Faulty):
    def fetch_agents(self, ids: Collection[int]) -> SourceDirectory:
        return super().fetch_agents([]) if ids else SourceDirectory()


class EverybodyFound(Faulty):
    def fetch_agents(self, ids: Collection[int]) -> SourceDirectory:
        return super().fetch_agents(ids).joined(super().find("agent@example.com"))


class NoTickets(Faulty):
    def fetch_tickets(self, accountings: Iterable[TimeAccounting]) -> list[Ticket]:
        return super().fetch_tickets(accountings)[:0]


class SurelyGone(Faulty):
    def exists(self, booking: BookingKey) -> Existence:
        super().exists(booking)
        return Existence.GONE


class AnonymousIsEmpty(Faulty):
    def fetch_types(self) -> SourceDirectory:
        return SourceDirectory()


class WrongError(Faulty):
    def fetch_types(self) -> SourceDirectory:
        raise KeyError("token")


class ToldByTheToken(Faulty):
    def validate(self) -> Validation:
        return replace(super().validate(), account=self.endpoint.token)


def _local(row: TimeAccounting) -> TimeAccounting:
    return replace(row, created_at=row.created_at.astimezone(timezone(timedelta(hours=2))))


Check = Callable[[ZammadConnector], None]

FAULTS: list[tuple[type[Faulty], Check, str]] = [
    (YieldsAnEmptyPage, SUITE.test_an_empty_window_is_complete_and_empty, "1 empty pages came of an empty window"),
    (
        ReportsFirst,
        lambda each: SUITE.test_the_report_is_there_when_all_pages_were_read(each, MONTH),
        "There is a report before the pages were read",
    ),
    (
        ReportsNothing,
        lambda each: SUITE.test_the_report_is_there_when_all_pages_were_read(each, MONTH),
        "There is no report after the last page: yield a SweepReport last",
    ),
    (IgnoresTheWindow, SUITE.test_an_empty_window_is_complete_and_empty, "4 rows came of a window in the year 2190"),
    (
        NewestFirst,
        lambda each: SUITE.test_a_sweep_gives_each_booking_of_the_window_once_and_oldest_first(each, MONTH),
        "do not come oldest first",
    ),
    (
        Twice,
        lambda each: SUITE.test_a_sweep_gives_each_booking_of_the_window_once_and_oldest_first(each, MONTH),
        "came more than once",
    ),
    (
        LocalTime,
        lambda each: SUITE.test_amounts_are_exact_and_times_are_utc(each, MONTH),
        r"created_at of booking \d+ is not in UTC: 2025-08-16 02:00:00\+02:00",
    ),
    (
        NobodyFound,
        lambda each: SUITE.test_who_booked_and_what_can_be_named(each, MONTH),
        r"fetch_agents\(\) does not find \d+, who booked",
    ),
    (
        EverybodyFound,
        SUITE.test_nobody_is_read_who_was_not_asked_for,
        r"fetch_agents\(\[\]\) gives \d+, whom nobody asked for",
    ),
    (
        NoTickets,
        lambda each: SUITE.test_there_is_a_ticket_for_every_booking(each, MONTH),
        r"fetch_tickets\(\) leaves out \d+",
    ),
    (
        SurelyGone,
        lambda each: SUITE.test_a_booking_exists_and_no_other_number_does(each, MONTH),
        r"Booking \d+ was just read, but exists\(\) says gone",
    ),
    (
        AnonymousIsEmpty,
        SUITE.test_an_unknown_token_is_an_authentication_error_with_a_remedy,
        "A read with an unknown token raised nothing, not AuthenticationError",
    ),
    (
        WrongError,
        SUITE.test_an_unreachable_system_is_unavailable_and_not_empty,
        r"A read of a system that cannot be reached raised KeyError \('token'\), not UnavailableError",
    ),
    (
        ToldByTheToken,
        SUITE.test_the_token_shows_in_no_error_finding_or_representation,
        r"The token shows in validate\(\): leave it out",
    ),
]


@pytest.mark.parametrize(("kind", "check", "told"), FAULTS, ids=[kind.__name__ for kind, _, _ in FAULTS])
def test_a_fault_is_told_in_a_sentence(
    kind: type[Faulty], check: Check, told: str, zammad: ZammadServer, zammad_service: tuple[ZammadServer, str]
) -> None:
    ticket_id, activity = zammad.add_ticket("Printer on fire"), zammad.add_type("Remote support")
    agent = zammad.add_agent("agent@example.com", firstname="Ada", lastname="Agent")
    for minute, units in enumerate(["15.0", "-0.25", "0", "7.5"]):
        zammad.book(ticket_id, agent, units, activity, at=DAY + timedelta(minutes=minute))
    token = "unknown-token" if kind is ToldByTheToken else TOKEN
    with kind(Endpoint("zammad", zammad_service[1], token)) as faulty, pytest.raises(AssertionError, match=told):
        check(faulty)


def test_every_assertion_has_a_message_and_no_error_goes_unexplained() -> None:
    tree = ast.parse(Path(conformance.__file__).read_text(encoding="utf-8"))
    silent = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert) and node.msg is None]
    assert silent == []
    unexplained = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "raises"]
    assert unexplained == [], "pytest.raises only says that nothing was raised: use _raised."
