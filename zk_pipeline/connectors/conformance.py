"""The tests that every connector must pass; needs pytest.

Subclass `SourceConformance` or `TargetConformance` in a test module, under a name that begins with `Test`, and provide
the fixtures that its docstring names. Those of a target write to the system, so use a test system.
"""
# ruff: noqa: S101, D102 - tests assert, and their names are their docstrings

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

import pytest

from zk_pipeline.connectors.contract import Connector, SourceConnector, Sweep, TargetConnector
from zk_pipeline.connectors.errors import AuthenticationError, StillInUseError, UnavailableError, ValidationFailedError
from zk_pipeline.domain.records import (
    BookingKey,
    Existence,
    TimeAccounting,
    Timesheet,
    TimesheetChange,
    TimesheetDraft,
    Window,
)

THREADS = 4
FAR_FUTURE = Window(datetime(2190, 1, 1, tzinfo=UTC), datetime(2190, 2, 1, tzinfo=UTC))
NO_ID = 2_000_000_000

Tested = TypeVar("Tested", bound=Connector)


class ConnectorConformance(Generic[Tested]):
    """Common tests of sources and targets.

    Provide the fixtures `connector`; `stranger`, the same with a token that the system does not know; and
    `unreachable`, the same with a URL where nothing answers, and one attempt.
    """

    @pytest.fixture
    def connector(self) -> Tested:
        raise NotImplementedError("Supply the fixture 'connector'.")

    @pytest.fixture
    def stranger(self) -> Tested:
        raise NotImplementedError("Supply the fixture 'stranger'.")

    @pytest.fixture
    def unreachable(self) -> Tested:
        raise NotImplementedError("Supply the fixture 'unreachable'.")

    def read(self, connector: Tested) -> object:
        """Any read that requires the token."""
        raise NotImplementedError

    def test_it_names_its_kind(self, connector: Tested) -> None:
        assert connector.kind

    def test_a_good_account_validates(self, connector: Tested) -> None:
        validation = connector.validate()
        assert validation.ok, validation.findings
        assert validation.account

    def test_an_unknown_token_is_an_authentication_error_with_a_remedy(self, stranger: Tested) -> None:
        with pytest.raises(AuthenticationError) as caught:
            self.read(stranger)
        assert caught.value.remedy

    def test_an_unknown_token_is_a_finding_of_validate_and_no_exception(self, stranger: Tested) -> None:
        validation = stranger.validate()
        assert not validation.ok
        assert any(finding.remedy for finding in validation.findings)

    def test_an_unreachable_system_is_unavailable_and_not_empty(self, unreachable: Tested) -> None:
        with pytest.raises(UnavailableError) as caught:
            self.read(unreachable)
        assert not caught.value.outcome_unknown
        assert not unreachable.validate().ok

    def test_the_token_shows_in_no_error_finding_or_representation(self, stranger: Tested) -> None:
        with pytest.raises(AuthenticationError) as caught:
            self.read(stranger)
        shown = f"{caught.value} {caught.value!r} {stranger.validate()} {stranger!r} {stranger.endpoint!r}"
        assert stranger.endpoint.token not in shown

    def test_requests_are_counted(self, connector: Tested) -> None:
        before = connector.requests
        self.read(connector)
        assert connector.requests.reads > before.reads
        assert connector.requests.writes == before.writes

    def test_several_threads_read_the_same(self, connector: Tested) -> None:
        alone = self.read(connector)
        with ThreadPoolExecutor(THREADS) as pool:
            together = list(pool.map(lambda _: self.read(connector), range(THREADS)))
        assert together == [alone] * THREADS

    def test_it_may_be_closed_twice(self, connector: Tested) -> None:
        with connector:
            connector.close()
        connector.close()


class SourceConformance(ConnectorConformance[SourceConnector]):
    """Tests of a source. Further fixture to supply: `window`, with at least three bookings of different moments."""

    @pytest.fixture
    def window(self) -> Window:
        raise NotImplementedError("Supply the fixture 'window'.")

    def read(self, connector: SourceConnector) -> object:
        return connector.fetch_types()

    def test_a_sweep_gives_each_booking_of_the_window_once_and_oldest_first(
        self, connector: SourceConnector, window: Window
    ) -> None:
        rows = bookings(connector, window)
        assert len(rows) >= 3
        assert len({row.id for row in rows}) == len(rows)
        moments = [row.counts_at for row in rows]
        assert moments == sorted(moments), "The bookings do not come oldest first."
        outside = [row.id for row in rows if not window.start <= row.counts_at < window.end]
        assert not outside, f"Bookings {outside} do not count within the window."

    def test_the_report_is_there_when_all_pages_were_read(self, connector: SourceConnector, window: Window) -> None:
        sweep = connector.fetch(window)
        with pytest.raises(RuntimeError):
            _ = sweep.report
        rows = [row for page in sweep.pages() for row in page]
        assert sweep.report.complete, sweep.report.reason
        assert sweep.report.window == window
        assert sweep.report.rows == len(rows)
        assert sweep.report.high_water == max(row.updated_at for row in rows)

    def test_the_window_holds_its_start_and_not_its_end(self, connector: SourceConnector, window: Window) -> None:
        moments = sorted({row.counts_at for row in bookings(connector, window)})
        inner = bookings(connector, Window(moments[1], moments[-1]))
        assert inner[0].counts_at == moments[1], "A booking at the start of the window is missing."
        assert inner[-1].counts_at < moments[-1], "A booking at the end of the window is not of it."

    def test_an_empty_window_is_complete_and_empty(self, connector: SourceConnector) -> None:
        _assert_nothing_is_there(connector.fetch(FAR_FUTURE))

    @pytest.mark.parametrize("hint", [0, 1, 10**9])
    def test_a_wrong_hint_changes_nothing(self, connector: SourceConnector, window: Window, hint: int) -> None:
        hinted = connector.fetch(window, hint=hint)
        assert [row for page in hinted.pages() for row in page] == bookings(connector, window)

    def test_amounts_are_exact_and_times_are_utc(self, connector: SourceConnector, window: Window) -> None:
        for row in bookings(connector, window):
            assert isinstance(row.units, Decimal)
            assert row.created_at.utcoffset() == row.updated_at.utcoffset() == timedelta(0)

    def test_who_booked_and_what_can_be_named(self, connector: SourceConnector, window: Window) -> None:
        rows = bookings(connector, window)
        booked = {row.agent_id for row in rows}
        assert {agent.id for agent in connector.fetch_agents(booked).agents} == booked
        types = {row.type_id for row in rows if row.type_id is not None}
        assert types <= {kind.id for kind in connector.fetch_types().activity_types}

    def test_nobody_is_read_who_was_not_asked_for(self, connector: SourceConnector) -> None:
        assert connector.fetch_agents([]).agents == ()
        assert connector.fetch_agents([NO_ID]).agents == ()

    def test_who_has_not_booked_is_found_by_id(self, connector: SourceConnector, window: Window) -> None:
        agent_id = bookings(connector, window)[0].agent_id
        assert agent_id in {agent.id for agent in connector.find(f"id:{agent_id}").agents}
        assert connector.find(f"id:{NO_ID}").agents == ()

    def test_a_ticket_names_its_organization(self, connector: SourceConnector, window: Window) -> None:
        for ticket in connector.fetch_tickets(bookings(connector, window)):
            assert (ticket.organization_id is None) == (ticket.organization_name is None)

    def test_there_is_a_ticket_for_every_booking(self, connector: SourceConnector, window: Window) -> None:
        rows = bookings(connector, window)
        tickets = {ticket.id: ticket for ticket in connector.fetch_tickets(rows)}
        assert {row.ticket_id for row in rows} == set(tickets)
        assert all(ticket.number for ticket in tickets.values())

    def test_a_booking_exists_and_no_other_number_does(self, connector: SourceConnector, window: Window) -> None:
        row = bookings(connector, window)[0]
        answer = connector.exists(BookingKey(row.id, row.ticket_id))
        assert answer is Existence.THERE, f"Booking {row.id} was just read, but exists() says {answer}."
        answer = connector.exists(BookingKey(NO_ID, row.ticket_id))
        assert answer is not Existence.THERE, f"There is no booking {NO_ID}, but exists() says that it is there."


def _assert_nothing_is_there(sweep: Sweep[Any]) -> None:
    pages = list(sweep.pages())
    rows = sum(map(len, pages))
    assert rows == 0, f"{rows} rows came of a window in the year {FAR_FUTURE.start.year}: the window is not kept."
    assert not pages, f"{len(pages)} empty pages came of an empty window: yield only pages with rows, then the report."
    assert sweep.report.complete, f"An empty window was read to its end, but its report says: {sweep.report.reason}"
    assert sweep.report.rows == 0, f"No row came, but the report counts {sweep.report.rows}."


class TargetConformance(ConnectorConformance[TargetConnector]):
    """Tests of a target. Further fixture to supply: `draft`, a time sheet for somebody other than the account, on the
    server's rounding grid, with tags, and with a marker as the last word of its description.
    """

    @pytest.fixture
    def draft(self) -> TimesheetDraft:
        raise NotImplementedError("Supply the fixture 'draft'.")

    @pytest.fixture
    def made(self, connector: TargetConnector, draft: TimesheetDraft) -> Iterator[Timesheet]:
        connector.ensure_tags(draft.tags)
        timesheet = connector.create(draft)
        yield timesheet
        connector.delete(timesheet.id)

    def read(self, connector: TargetConnector) -> object:
        return connector.fetch_directory()

    def test_a_new_time_sheet_is_as_drafted(self, made: Timesheet, draft: TimesheetDraft) -> None:
        assert (made.user_id, made.project_id, made.activity_id) == (draft.user_id, draft.project_id, draft.activity_id)
        assert (made.begin, made.end) == (draft.begin, draft.end)
        assert made.begin.utcoffset() == timedelta(0)
        assert made.duration_seconds == (draft.end - draft.begin).total_seconds()
        assert made.description == draft.description
        assert sorted(made.tags) == sorted(draft.tags)

    def test_a_new_time_sheet_reads_as_it_was_returned(self, connector: TargetConnector, made: Timesheet) -> None:
        assert connector.get(made.id) == made

    def test_an_unknown_time_sheet_is_none(self, connector: TargetConnector) -> None:
        assert connector.get(NO_ID) is None

    def test_a_marker_finds_its_time_sheet_and_parts_of_it_do_not(
        self, connector: TargetConnector, made: Timesheet, draft: TimesheetDraft
    ) -> None:
        marker = draft.description.split()[-1]
        assert connector.find(marker) == [made]
        assert connector.find(marker[:-2]) == []
        assert connector.find(f"{marker}0") == []

    def test_copies_are_found_lowest_id_first(
        self, connector: TargetConnector, made: Timesheet, draft: TimesheetDraft
    ) -> None:
        copy = connector.create(draft)
        assert [row.id for row in connector.find(draft.description.split()[-1])] == [made.id, copy.id]
        connector.delete(copy.id)

    def test_a_sweep_gives_the_time_sheets_of_others_that_begin_in_the_window(
        self, connector: TargetConnector, made: Timesheet
    ) -> None:
        sweep = connector.fetch(Window(made.begin, made.begin + timedelta(seconds=1)))
        rows = [row for page in sweep.pages() for row in page]
        assert made in rows
        assert sweep.report.complete, sweep.report.reason
        assert sweep.report.rows == len(rows)

    def test_the_window_does_not_hold_its_end(self, connector: TargetConnector, made: Timesheet) -> None:
        sweep = connector.fetch(Window(made.begin - timedelta(hours=1), made.begin))
        assert made.id not in {row.id for page in sweep.pages() for row in page}

    def test_an_empty_window_is_complete_and_empty(self, connector: TargetConnector) -> None:
        _assert_nothing_is_there(connector.fetch(FAR_FUTURE))

    def test_the_directory_names_what_a_time_sheet_refers_to(self, connector: TargetConnector, made: Timesheet) -> None:
        directory = connector.fetch_directory()
        assert made.user_id in {user.id for user in directory.users}
        assert made.activity_id in {activity.id for activity in directory.activities}
        project = next(project for project in directory.projects if project.id == made.project_id)
        assert project.customer_id in {customer.id for customer in directory.customers}
        assert directory.server.version == connector.validate().version

    def test_a_changed_time_sheet_keeps_all_else(self, connector: TargetConnector, made: Timesheet) -> None:
        assert made.end is not None
        later = TimesheetChange(begin=made.begin + timedelta(days=1), end=made.end + timedelta(days=1))
        assert connector.update(made, later) == replace(made, begin=later.begin, end=later.end)

    def test_an_empty_change_sends_nothing(self, connector: TargetConnector, made: Timesheet) -> None:
        before = connector.requests
        assert connector.update(made, TimesheetChange()) == made
        assert connector.requests == before

    def test_a_deleted_time_sheet_is_gone_and_may_be_deleted_again(
        self, connector: TargetConnector, made: Timesheet
    ) -> None:
        connector.delete(made.id)
        assert connector.get(made.id) is None
        connector.delete(made.id)

    def test_a_refused_draft_creates_nothing_and_tells_why(
        self, connector: TargetConnector, draft: TimesheetDraft
    ) -> None:
        with pytest.raises(ValidationFailedError) as caught:
            connector.create(replace(draft, project_id=NO_ID))
        assert caught.value.fields
        assert not caught.value.outcome_unknown
        assert connector.find(draft.description.split()[-1]) == []

    def test_a_customer_of_one_number_is_created_once(self, connector: TargetConnector) -> None:
        first = connector.create_customer(name="Conformance Ltd", number="conformance-1")
        again = connector.create_customer(name="Other name", number="conformance-1")
        assert (again, first.number) == (first, "conformance-1")

    def test_a_customer_that_was_just_looked_for_is_created_without_another_look(
        self, connector: TargetConnector
    ) -> None:
        assert connector.find_customer("conformance-4") is None
        before = connector.requests
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-4")
        assert (connector.requests.reads - before.reads, connector.requests.writes - before.writes) == (0, 1)
        connector.delete_customer(customer.id, number="conformance-4")

    def test_a_project_of_one_number_is_created_once(self, connector: TargetConnector) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-1")
        first = connector.create_project(name="Conformance", number="CONF-1", customer_id=customer.id)
        again = connector.create_project(name="Other name", number="CONF-1", customer_id=customer.id)
        assert (again, first.customer_id) == (first, customer.id)

    def test_a_project_and_a_customer_are_found_by_their_exact_number(self, connector: TargetConnector) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-1")
        project = connector.create_project(name="Conformance", number="CONF-1", customer_id=customer.id)
        assert connector.find_customer("conformance-1") == customer
        assert connector.find_project("CONF-1") == project
        assert connector.find_customer("conformance-") is None
        assert connector.find_project("CONF") is None

    def test_what_nothing_refers_to_is_deleted_and_may_be_deleted_again(self, connector: TargetConnector) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-2")
        project = connector.create_project(name="Conformance", number="CONF-2", customer_id=customer.id)
        with pytest.raises(StillInUseError):
            connector.delete_customer(customer.id, number="conformance-2")
        for _ in range(2):
            connector.delete_project(project.id, number="CONF-2")
            connector.delete_customer(customer.id, number="conformance-2")
        assert connector.find_project("CONF-2") is None
        assert connector.find_customer("conformance-2") is None

    def test_a_project_that_somebody_booked_on_is_not_deleted(
        self, connector: TargetConnector, made: Timesheet, draft: TimesheetDraft
    ) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-3")
        project = connector.create_project(name="Conformance", number="CONF-3", customer_id=customer.id)
        booked = connector.create(replace(draft, project_id=project.id))
        with pytest.raises(StillInUseError):
            connector.delete_project(project.id, number="CONF-3")
        assert connector.get(booked.id) == booked
        assert connector.get(made.id) == made
        connector.delete(booked.id)
        connector.delete_project(project.id, number="CONF-3")
        connector.delete_customer(customer.id, number="conformance-3")

    def test_a_project_of_another_number_is_not_deleted(self, connector: TargetConnector) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-1")
        project = connector.create_project(name="Conformance", number="CONF-1", customer_id=customer.id)
        with pytest.raises(StillInUseError):
            connector.delete_project(project.id, number="CONF-9")
        with pytest.raises(StillInUseError):
            connector.delete_customer(customer.id, number="")
        assert connector.find_project("CONF-1") == project

    def test_tags_that_exist_are_left_alone(self, connector: TargetConnector, draft: TimesheetDraft) -> None:
        connector.ensure_tags(draft.tags)
        before = connector.requests.writes
        connector.ensure_tags(draft.tags)
        assert connector.requests.writes == before


def bookings(source: SourceConnector, window: Window) -> list[TimeAccounting]:
    """All bookings of a window."""
    return [row for page in source.fetch(window).pages() for row in page]
