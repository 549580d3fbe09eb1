"""The tests that every connector must pass; needs pytest.

Subclass `SourceConformance` or `TargetConformance` in a test module, under a name that begins with `Test`, and provide
the fixtures that its docstring names. Those of a target write to the system, so use a test system.

Each assertion says what is wrong and what was expected: pytest does not explain those of installed packages.
"""
# ruff: noqa: S101, D102 - tests assert, and their names are their docstrings

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

import pytest

from zk_pipeline.connectors.contract import Connector, SourceConnector, Sweep, TargetConnector
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    StillInUseError,
    UnavailableError,
    ValidationFailedError,
)
from zk_pipeline.domain.records import (
    BookingKey,
    Existence,
    TimeAccounting,
    Timesheet,
    TimesheetChange,
    TimesheetDraft,
    Window,
)
from zk_pipeline.domain.vital_figures import Level

THREADS = 4
FAR_FUTURE = Window(datetime(2190, 1, 1, tzinfo=UTC), datetime(2190, 2, 1, tzinfo=UTC))
NO_ID = "2000000000"

Tested = TypeVar("Tested", bound=Connector)
Error = TypeVar("Error", bound=ConnectorError)


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
        assert connector.kind, "The class attribute 'kind' is empty. Set it to the name of the entry point."

    def test_a_good_account_validates(self, connector: Tested) -> None:
        validation = connector.validate()
        failed = "; ".join(f"{row.subject}: {row.text}" for row in validation.findings if row.level is Level.FAIL)
        assert validation.ok, f"validate() fails with a good account: {failed}"
        assert validation.account, "validate() does not say whose account it is: give its name in 'account'."

    def test_an_unknown_token_is_an_authentication_error_with_a_remedy(self, stranger: Tested) -> None:
        error = _raised(AuthenticationError, lambda: self.read(stranger), "A read with an unknown token")
        assert error.remedy, f"The error says not what to do: give it a remedy ({error})."

    def test_an_unknown_token_is_a_finding_of_validate_and_no_exception(self, stranger: Tested) -> None:
        validation = stranger.validate()
        assert not validation.ok, "validate() passes with an unknown token: one of its findings must fail."
        has_remedy = any(finding.remedy for finding in validation.findings)
        assert has_remedy, "No finding of validate() about an unknown token has a remedy: say what to do."

    def test_an_unreachable_system_is_unavailable_and_not_empty(self, unreachable: Tested) -> None:
        error = _raised(UnavailableError, lambda: self.read(unreachable), "A read of a system that cannot be reached")
        assert not error.outcome_unknown, "A read that failed has outcome_unknown=True, which is for writes alone."
        assert not unreachable.validate().ok, "validate() passes, but the system cannot be reached."

    def test_the_token_shows_in_no_error_finding_or_representation(self, stranger: Tested) -> None:
        error = _raised(AuthenticationError, lambda: self.read(stranger), "A read with an unknown token")
        shown = {
            "the error": f"{error} {error!r}",
            "validate()": str(stranger.validate()),
            "repr()": f"{stranger!r} {stranger.endpoint!r}",
        }
        leaks = [where for where, content in shown.items() if stranger.endpoint.token in content]
        assert not leaks, f"The token shows in {', '.join(leaks)}: leave it out."

    def test_requests_are_counted(self, connector: Tested) -> None:
        before = connector.requests
        self.read(connector)
        after = connector.requests
        assert after.reads > before.reads, f"A read left 'requests.reads' at {after.reads}: count each request."
        assert after.writes == before.writes, "A read was counted in 'requests.writes'."

    def test_several_threads_read_the_same(self, connector: Tested) -> None:
        alone = self.read(connector)
        with ThreadPoolExecutor(THREADS) as pool:
            together = list(pool.map(lambda _: self.read(connector), range(THREADS)))
        differing = sum(read != alone for read in together)
        assert not differing, f"{differing} of {THREADS} threads read something else than one alone does."

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
        assert len(rows) >= 3, f"{len(rows)} bookings came of the window: at least three must be there for these tests."
        twice = [booking for booking, times in Counter(row.id for row in rows).items() if times > 1]
        assert not twice, f"The bookings {twice} came more than once."
        moments = [row.counts_at for row in rows]
        assert moments == sorted(moments), "The bookings do not come oldest first."
        outside = [row.id for row in rows if not window.start <= row.counts_at < window.end]
        assert not outside, f"Bookings {outside} do not count within the window."

    def test_the_report_is_there_when_all_pages_were_read(self, connector: SourceConnector, window: Window) -> None:
        sweep = connector.fetch(window)
        assert not _has_report(sweep), "There is a report before the pages were read: yield it last."
        rows = [row for page in sweep.pages() for row in page]
        assert _has_report(sweep), "There is no report after the last page: yield a SweepReport last."
        report, newest = sweep.report, max(row.updated_at for row in rows)
        assert report.complete, f"The window was read to its end, but its report is not complete: {report.reason}"
        assert report.window == window, f"The report is about {report.window}, not about the window {window}."
        assert report.rows == len(rows), f"{len(rows)} rows came, but the report counts {report.rows}."
        assert report.high_water == newest, f"high_water is {report.high_water}, but the newest change is of {newest}."

    def test_the_window_holds_its_start_and_not_its_end(self, connector: SourceConnector, window: Window) -> None:
        moments = sorted({row.counts_at for row in bookings(connector, window)})
        assert len(moments) >= 3, f"The window has bookings of {len(moments)} moments: supply one with at least three."
        inner = bookings(connector, Window(moments[1], moments[-1]))
        assert inner, f"Nothing came of the window from {moments[1]} to {moments[-1]}, where bookings count."
        assert inner[0].counts_at == moments[1], "A booking at the start of the window is missing."
        assert inner[-1].counts_at < moments[-1], "A booking at the end of the window is not of it."

    def test_an_empty_window_is_complete_and_empty(self, connector: SourceConnector) -> None:
        _assert_nothing_is_there(connector.fetch(FAR_FUTURE))

    @pytest.mark.parametrize("hint", [0, 1, 10**9])
    def test_a_wrong_hint_changes_nothing(self, connector: SourceConnector, window: Window, hint: int) -> None:
        hinted = connector.fetch(window, hint=hint)
        rows = [row for page in hinted.pages() for row in page]
        assert rows == bookings(connector, window), f"With the hint {hint} other bookings came than without one."

    def test_amounts_are_exact_and_times_are_utc(self, connector: SourceConnector, window: Window) -> None:
        for row in bookings(connector, window):
            is_exact = isinstance(row.units, Decimal)
            assert is_exact, f"The units of booking {row.id} are a {type(row.units).__name__}, not a Decimal."
            for name in ("created_at", "updated_at", "worked_at", "worked_until"):
                moment = getattr(row, name)
                is_utc = moment is None or moment.utcoffset() == timedelta(0)
                assert is_utc, f"{name} of booking {row.id} is not in UTC: {moment}."

    def test_who_booked_and_what_can_be_named(self, connector: SourceConnector, window: Window) -> None:
        rows = bookings(connector, window)
        booked = {row.agent_id for row in rows}
        found = {agent.id for agent in connector.fetch_agents(booked).agents}
        assert found >= booked, f"fetch_agents() does not find {_listed(booked - found)}, who booked."
        assert found <= booked, f"fetch_agents() gives {_listed(found - booked)}, whom nobody asked for."
        types = {row.type_id for row in rows if row.type_id is not None}
        unknown = types - {kind.id for kind in connector.fetch_types().activity_types}
        assert not unknown, f"Bookings have the types {_listed(unknown)}, which fetch_types() does not give."

    def test_nobody_is_read_who_was_not_asked_for(self, connector: SourceConnector) -> None:
        for asked in ([], [NO_ID]):
            found = [agent.id for agent in connector.fetch_agents(asked).agents]
            assert not found, f"fetch_agents({asked}) gives {_listed(found)}, whom nobody asked for."

    def test_who_has_not_booked_is_found_by_id(self, connector: SourceConnector, window: Window) -> None:
        agent_id = bookings(connector, window)[0].agent_id
        found = {agent.id for agent in connector.find(f"id:{agent_id}").agents}
        assert agent_id in found, f"find('id:{agent_id}') does not find that person."
        others = connector.find(f"id:{NO_ID}").agents
        assert not others, f"find('id:{NO_ID}') gives somebody, but nobody has this id: {others}"

    def test_a_ticket_names_its_organization(self, connector: SourceConnector, window: Window) -> None:
        for ticket in connector.fetch_tickets(bookings(connector, window)):
            has_both = (ticket.organization_id is None) == (ticket.organization_name is None)
            assert has_both, f"Ticket {ticket.id} has the organization's id or its name: give both or neither."

    def test_there_is_a_ticket_for_every_booking(self, connector: SourceConnector, window: Window) -> None:
        rows = bookings(connector, window)
        tickets = {ticket.id: ticket for ticket in connector.fetch_tickets(rows)}
        booked = {row.ticket_id for row in rows}
        missing, more = booked - set(tickets), set(tickets) - booked
        assert not missing, f"fetch_tickets() leaves out {_listed(missing)}: every booking has a ticket."
        assert not more, f"fetch_tickets() gives {_listed(more)}, which have none of these bookings."
        nameless = [ticket.id for ticket in tickets.values() if not ticket.number]
        assert not nameless, f"The tickets {nameless} have no number, by which people know them."

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
        for name in ("user_id", "project_id", "activity_id", "begin", "end", "description"):
            stored, wanted = getattr(made, name), getattr(draft, name)
            assert stored == wanted, f"create() returned {name}={stored!r}, but {wanted!r} was drafted."
        assert made.begin.utcoffset() == timedelta(0), f"'begin' is not in UTC: {made.begin}."
        seconds = (draft.end - draft.begin).total_seconds()
        assert made.duration_seconds == seconds, f"It lasts {made.duration_seconds} s, but {seconds} s were drafted."
        assert sorted(made.tags) == sorted(draft.tags), f"The tags are {made.tags}, but {draft.tags} were drafted."

    def test_a_new_time_sheet_reads_as_it_was_returned(self, connector: TargetConnector, made: Timesheet) -> None:
        read = connector.get(made.id)
        assert read == made, f"get() gives another time sheet than create() returned: {read}, not {made}"

    def test_an_unknown_time_sheet_is_none(self, connector: TargetConnector) -> None:
        read = connector.get(int(NO_ID))
        assert read is None, f"get() of an id that no time sheet has gives {read}, not None."

    def test_a_marker_finds_its_time_sheet_and_parts_of_it_do_not(
        self, connector: TargetConnector, made: Timesheet, draft: TimesheetDraft
    ) -> None:
        marker = draft.description.split()[-1]
        found = connector.find(marker)
        assert found == [made], f"find({marker!r}) gives {found}, not the one time sheet with this marker."
        for other in (marker[:-2], f"{marker}0"):
            found = connector.find(other)
            assert not found, f"find({other!r}) gives {found}, but no description has this as a whole word."

    def test_copies_are_found_lowest_id_first(
        self, connector: TargetConnector, made: Timesheet, draft: TimesheetDraft
    ) -> None:
        copy = connector.create(draft)
        found = [row.id for row in connector.find(draft.description.split()[-1])]
        assert found == [made.id, copy.id], f"find() gives {found}, not both copies, lowest id first."
        connector.delete(copy.id)

    def test_a_sweep_gives_the_time_sheets_of_others_that_begin_in_the_window(
        self, connector: TargetConnector, made: Timesheet
    ) -> None:
        sweep = connector.fetch(Window(made.begin, made.begin + timedelta(seconds=1)))
        rows = [row for page in sweep.pages() for row in page]
        assert made in rows, f"Time sheet {made.id} of another user begins in the window, but did not come as it is."
        report = sweep.report
        assert report.complete, f"The window was read to its end, but its report is not complete: {report.reason}"
        assert report.rows == len(rows), f"{len(rows)} rows came, but the report counts {report.rows}."

    def test_the_window_does_not_hold_its_end(self, connector: TargetConnector, made: Timesheet) -> None:
        sweep = connector.fetch(Window(made.begin - timedelta(hours=1), made.begin))
        rows = {row.id for page in sweep.pages() for row in page}
        assert made.id not in rows, f"Time sheet {made.id} begins at the end of the window, which is not of it."

    def test_an_empty_window_is_complete_and_empty(self, connector: TargetConnector) -> None:
        _assert_nothing_is_there(connector.fetch(FAR_FUTURE))

    def test_the_directory_names_what_a_time_sheet_refers_to(self, connector: TargetConnector, made: Timesheet) -> None:
        directory = connector.fetch_directory()
        users = {user.id for user in directory.users}
        assert made.user_id in users, f"fetch_directory() does not give user {made.user_id}."
        activities = {activity.id for activity in directory.activities}
        assert made.activity_id in activities, f"fetch_directory() does not give activity {made.activity_id}."
        projects = {project.id: project.customer_id for project in directory.projects}
        assert made.project_id in projects, f"fetch_directory() does not give project {made.project_id}."
        customer, customers = projects[made.project_id], {customer.id for customer in directory.customers}
        assert customer in customers, f"fetch_directory() does not give customer {customer} of its own project."
        said, tested = directory.server.version, connector.validate().version
        assert said == tested, f"fetch_directory() says version {said}, but validate() says {tested}."

    def test_a_changed_time_sheet_keeps_all_else(self, connector: TargetConnector, made: Timesheet) -> None:
        assert made.end is not None, "create() returned a running time sheet: its 'end' is None."
        later = TimesheetChange(begin=made.begin + timedelta(days=1), end=made.end + timedelta(days=1))
        changed, wanted = connector.update(made, later), replace(made, begin=later.begin, end=later.end)
        assert changed == wanted, f"update() of begin and end gave {changed}, not {wanted}"

    def test_an_empty_change_sends_nothing(self, connector: TargetConnector, made: Timesheet) -> None:
        before = connector.requests
        changed = connector.update(made, TimesheetChange())
        assert changed == made, f"update() without a change gave {changed}, not {made}"
        sent = connector.requests
        assert sent == before, f"update() without a change sent a request: {sent} after {before}."

    def test_a_deleted_time_sheet_is_gone_and_may_be_deleted_again(
        self, connector: TargetConnector, made: Timesheet
    ) -> None:
        connector.delete(made.id)
        left = connector.get(made.id)
        assert left is None, f"After delete(), get() still gives {left}."
        connector.delete(made.id)

    def test_a_refused_draft_creates_nothing_and_tells_why(
        self, connector: TargetConnector, draft: TimesheetDraft
    ) -> None:
        wrong = replace(draft, project_id=NO_ID)
        error = _raised(ValidationFailedError, lambda: connector.create(wrong), "A draft with an unknown project")
        assert error.fields, "The error of a refused draft names no field: fill its 'fields'."
        assert not error.outcome_unknown, "A refused draft has outcome_unknown=True, but nothing was created."
        found = connector.find(draft.description.split()[-1])
        assert not found, f"The draft was refused, and yet there is a time sheet: {found}"

    def test_a_customer_of_one_number_is_created_once(self, connector: TargetConnector) -> None:
        first = connector.create_customer(name="Conformance Ltd", number="conformance-1")
        again = connector.create_customer(name="Other name", number="conformance-1")
        assert again == first, f"A number that is taken gave another customer: {again}, not {first}"
        assert first.number == "conformance-1", f"The customer has the number {first.number!r}, not 'conformance-1'."

    def test_a_customer_that_was_just_looked_for_is_created_without_another_look(
        self, connector: TargetConnector
    ) -> None:
        found = connector.find_customer("conformance-4")
        assert found is None, f"There is a customer already, which is not deleted by its test: {found}"
        before = connector.requests
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-4")
        sent = connector.requests
        reads, writes = sent.reads - before.reads, sent.writes - before.writes
        assert (reads, writes) == (0, 1), f"create_customer() took {reads} reads and {writes} writes, not one write."
        connector.delete_customer(customer.id, number="conformance-4")

    def test_a_project_of_one_number_is_created_once(self, connector: TargetConnector) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-1")
        first = connector.create_project(name="Conformance", number="CONF-1", customer_id=customer.id)
        again = connector.create_project(name="Other name", number="CONF-1", customer_id=customer.id)
        assert again == first, f"A number that is taken gave another project: {again}, not {first}"
        assert first.customer_id == customer.id, f"The project is customer {first.customer_id}'s, not {customer.id}'s."

    def test_a_project_and_a_customer_are_found_by_their_exact_number(self, connector: TargetConnector) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-1")
        project = connector.create_project(name="Conformance", number="CONF-1", customer_id=customer.id)
        looks = (
            (connector.find_customer, "conformance-1", customer),
            (connector.find_project, "CONF-1", project),
            (connector.find_customer, "conformance-", None),
            (connector.find_project, "CONF", None),
        )
        for find, number, wanted in looks:
            found = find(number)
            assert found == wanted, f"{find.__name__}({number!r}) gives {found}, not {wanted}: compare whole numbers."

    def test_what_nothing_refers_to_is_deleted_and_may_be_deleted_again(self, connector: TargetConnector) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-2")
        project = connector.create_project(name="Conformance", number="CONF-2", customer_id=customer.id)
        _still_in_use(lambda: connector.delete_customer(customer.id, number="conformance-2"), "that has a project")
        for _ in range(2):
            connector.delete_project(project.id, number="CONF-2")
            connector.delete_customer(customer.id, number="conformance-2")
        left = connector.find_project("CONF-2") or connector.find_customer("conformance-2")
        assert left is None, f"It was deleted, and is still found: {left}"

    def test_a_project_that_somebody_booked_on_is_not_deleted(
        self, connector: TargetConnector, made: Timesheet, draft: TimesheetDraft
    ) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-3")
        project = connector.create_project(name="Conformance", number="CONF-3", customer_id=customer.id)
        booked = connector.create(replace(draft, project_id=project.id))
        _still_in_use(lambda: connector.delete_project(project.id, number="CONF-3"), "that has a time sheet")
        for kept in (booked, made):
            left = connector.get(kept.id)
            assert left == kept, f"delete_project() was refused, but a time sheet is {left}, not {kept}"
        connector.delete(booked.id)
        connector.delete_project(project.id, number="CONF-3")
        connector.delete_customer(customer.id, number="conformance-3")

    def test_a_project_of_another_number_is_not_deleted(self, connector: TargetConnector) -> None:
        customer = connector.create_customer(name="Conformance Ltd", number="conformance-1")
        project = connector.create_project(name="Conformance", number="CONF-1", customer_id=customer.id)
        _still_in_use(lambda: connector.delete_project(project.id, number="CONF-9"), "with another number")
        _still_in_use(lambda: connector.delete_customer(customer.id, number=""), "without this number")
        left = connector.find_project("CONF-1")
        assert left == project, f"Nothing was to be deleted, but the project is {left}, not {project}"

    def test_tags_that_exist_are_left_alone(self, connector: TargetConnector, draft: TimesheetDraft) -> None:
        connector.ensure_tags(draft.tags)
        before = connector.requests.writes
        connector.ensure_tags(draft.tags)
        more = connector.requests.writes - before
        assert not more, f"ensure_tags() wrote {more} times, but all tags were there."


def bookings(source: SourceConnector, window: Window) -> list[TimeAccounting]:
    """All bookings of a window."""
    return [row for page in source.fetch(window).pages() for row in page]


def _raised(kind: type[Error], call: Callable[[], object], what: str) -> Error:
    """The error of this kind that the call raises; without it, the test fails and says `what` did instead."""
    try:
        answer = call()
    except kind as error:
        return error
    except Exception as error:  # noqa: BLE001 (whatever it is, it is not the one that was promised)
        problem = f"{what} raised {type(error).__name__} ({error}), not {kind.__name__}."
    else:
        problem = f"{what} raised nothing, not {kind.__name__}: it gave {answer}."
    raise AssertionError(problem)


def _still_in_use(delete: Callable[[], None], which: str) -> None:
    _raised(StillInUseError, delete, f"Deleting something {which}")


def _has_report(sweep: Sweep[Any]) -> bool:
    try:
        return bool(sweep.report)
    except RuntimeError:
        return False


def _listed(ids: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, ids)))
