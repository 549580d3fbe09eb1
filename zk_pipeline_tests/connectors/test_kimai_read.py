"""Reading time sheets: whole windows in the caller's zone, pages that stand still, exact markers, honest refusals."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from zk_pipeline.connectors.contract import Endpoint, Sweep
from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    PermissionDeniedError,
    ProtocolError,
    UnavailableError,
)
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.domain.records import Timesheet, Window
from zk_pipeline_tests.connectors.conftest import DAY, TOKEN, ConnectKimai, Office
from zk_sandbox.client import SandboxControl
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.server import ServerThread

LIST = "/api/timesheets$"
QUARTER = timedelta(minutes=15)


def add(kimai: KimaiServer, office: Office, *begins: datetime, user: int | None = None, **values: Any) -> list[int]:
    """Time sheets of a quarter of an hour, Anna's unless told otherwise."""
    owner = office.anna if user is None else user
    row = {"user": owner, "project": office.project, "activity": office.activity}
    return kimai.add_timesheets([row | {"begin": begin, "end": begin + QUARTER} | values for begin in begins])


def rows_of(sweep: Sweep[Timesheet]) -> list[Timesheet]:
    return [row for page in sweep.pages() for row in page]


def ids_of(sweep: Sweep[Timesheet]) -> list[int]:
    return [row.id for row in rows_of(sweep)]


def hours(start: float, end: float) -> Window:
    return Window(DAY + timedelta(hours=start), DAY + timedelta(hours=end))


class TestFetch:
    def test_5000_time_sheets_cost_a_request_each_500(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        ids = add(kimai, office, *(DAY + timedelta(minutes=minute) for minute in range(5200)))
        sweep = target.fetch(Window(DAY, DAY + timedelta(minutes=5100)))
        assert ids_of(sweep) == ids[:5100]
        assert sweep.report.complete
        assert sweep.report.pages == 11
        assert target.requests.reads == 11 + 1  # and the account, once

    @pytest.mark.parametrize(("others", "requests"), [(True, 3), (False, 5)])
    def test_the_account_and_what_it_sees_are_asked_for_once(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office, others: bool, requests: int
    ) -> None:
        if others:
            add(kimai, office, DAY, DAY + timedelta(hours=25))
        rows_of(target.fetch(hours(0, 24)))
        rows_of(target.fetch(hours(24, 48)))
        assert target.requests.reads == requests

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("begin", None),
            ("user", "anna"),
            ("tags", None),
            ("description", 7),
            ("duration", 2**40),
            ("exported", "no"),
        ],
    )
    def test_a_time_sheet_that_cannot_be_read_is_seen_and_costs_no_other(
        self,
        target: KimaiConnector,
        kimai: KimaiServer,
        office: Office,
        kimai_control: SandboxControl,
        field: str,
        value: Any,
    ) -> None:
        add(kimai, office, DAY, DAY + QUARTER)
        sound, other = (row.raw for row in rows_of(target.fetch(hours(0, 1))))
        listed = json.dumps([sound, {**other, field: value}])
        headers = {"X-Total-Count": "2", "X-Total-Pages": "1", "Content-Type": "application/json"}
        kimai_control.add_fault("respond", path=LIST, status=200, text=listed, headers=headers)
        sweep = target.fetch(hours(0, 1))
        first, parked = rows_of(sweep)
        assert (first.id, first.faults, parked.id, list(parked.faults)) == (sound["id"], {}, other["id"], [field])
        assert sweep.report.complete
        if field == "description":
            assert [row.id for row in target.find("[zk-zammad-6]")] == [other["id"]], "Kimai found it, so it may be it"

    def test_a_window_is_cut_in_instants_whatever_the_zones(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        moments = [DAY + timedelta(hours=hour) for hour in (-0.25, 0, 23.75, 24)]
        ids = add(kimai, office, *moments)
        assert ids_of(target.fetch(hours(0, 24))) == ids[1:3]

    @pytest.mark.parametrize(
        "first",
        [datetime(2025, 10, 25, 22, tzinfo=UTC), datetime(2026, 3, 28, 22, tzinfo=UTC)],
        ids=["autumn", "spring"],
    )
    def test_each_quarter_of_a_night_of_changing_clocks_is_in_its_own_window(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office, first: datetime
    ) -> None:
        moments = [first + QUARTER * number for number in range(24)]
        ids = add(kimai, office, *moments)
        for moment, timesheet_id in zip(moments, ids, strict=True):
            assert ids_of(target.fetch(Window(moment, moment + QUARTER))) == [timesheet_id]

    def test_the_zone_that_counts_is_the_accounts(
        self, kimai: KimaiServer, office: Office, connect_kimai: ConnectKimai
    ) -> None:
        kimai.add_user("tokyo", "tokyo@example.com", ["ROLE_SUPER_ADMIN"], "Asia/Tokyo", "tokyo-token")
        ids = add(kimai, office, DAY, DAY + timedelta(hours=12))
        assert ids_of(connect_kimai("tokyo-token").fetch(hours(0, 1))) == ids[:1]

    def test_a_running_time_sheet_has_no_end(self, target: KimaiConnector, kimai: KimaiServer, office: Office) -> None:
        kimai.add_timesheet(office.anna, office.project, office.activity, DAY, None)
        (row,) = rows_of(target.fetch(hours(0, 1)))
        assert (row.end, row.duration_seconds, row.description) == (None, 0, "")

    def test_a_plain_account_that_sees_only_itself_is_refused(
        self, kimai: KimaiServer, office: Office, connect_kimai: ConnectKimai
    ) -> None:
        bob = kimai.add_user("bob", "bob@example.com", token="bob-token")
        add(kimai, office, DAY)
        add(kimai, office, DAY, user=bob)
        with pytest.raises(PermissionDeniedError, match="view_other_timesheet"):
            rows_of(connect_kimai("bob-token").fetch(hours(0, 1)))

    def test_no_role_is_believed_to_see_others(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        (made,) = add(kimai, office, DAY, description="[m-1]")
        empty = target.fetch(hours(2, 3))
        assert rows_of(empty) == []
        assert empty.report.complete
        kimai.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_other_timesheet": False}}})
        target.fetch_directory()
        with pytest.raises(PermissionDeniedError, match="view_other_timesheet"):
            rows_of(target.fetch(hours(0, 1)))
        with pytest.raises(PermissionDeniedError, match="does not see whether somebody else's time sheet"):
            target.find("[m-1]")
        assert kimai.kimai.timesheets.rows[made].description == "[m-1]"

    def test_a_plain_account_that_does_see_others_is_believed(
        self, kimai: KimaiServer, office: Office, connect_kimai: ConnectKimai
    ) -> None:
        kimai.configure({"permissions": {"ROLE_USER": {"view_other_timesheet": True, "view_all_data": True}}})
        kimai.add_user("bob", "bob@example.com", token="bob-token")
        add(kimai, office, DAY)
        sweep = connect_kimai("bob-token").fetch(hours(0, 1))
        assert len(rows_of(sweep)) == 1
        assert sweep.report.complete

    def test_an_account_in_an_unknown_zone_is_told_what_to_do(
        self, target: KimaiConnector, kimai_control: SandboxControl
    ) -> None:
        kimai_control.add_fault("respond", path="users/me", status=200, text='{"id": 1, "timezone": "Mars/Olympus"}')
        with pytest.raises(ProtocolError, match="Mars/Olympus") as caught:
            rows_of(target.fetch(hours(0, 1)))
        assert "tzdata" in caught.value.remedy

    def test_a_missing_count_names_the_header(self, target: KimaiConnector, kimai_control: SandboxControl) -> None:
        kimai_control.add_fault("respond", path=LIST, status=200, text="[]")
        with pytest.raises(ProtocolError, match="X-Total-Count"):
            rows_of(target.fetch(hours(0, 1)))


@dataclass
class Meddling:
    """A Kimai in which somebody else does something whenever a certain page of time sheets is asked for."""

    app: ASGIApp
    act: Callable[[], object]
    times: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.times and b"page=2" in scope.get("query_string", b""):
            self.times -= 1
            self.act()
        await self.app(scope, receive, send)


class TestMovingPages:
    @pytest.fixture
    def ids(self, kimai: KimaiServer, office: Office) -> list[int]:
        return add(kimai, office, *(DAY + timedelta(minutes=minute) for minute in range(1200)), description="[m-1]")

    def sweep(self, kimai: KimaiServer, act: Callable[[], object], times: int) -> tuple[list[int], Any, int]:
        app = Meddling(kimai.app(), act, times)
        with ServerThread(app) as server, KimaiConnector(Endpoint("kimai", server.url, TOKEN)) as target:
            sweep = target.fetch(hours(0, 24))
            return ids_of(sweep), sweep.report, target.requests.reads

    def test_a_row_deleted_during_the_read_makes_it_start_anew(self, kimai: KimaiServer, ids: list[int]) -> None:
        rows, report, reads = self.sweep(kimai, lambda: kimai.kimai.timesheets.remove(ids[0]), 1)
        assert rows == ids[1:]
        assert report.complete
        assert reads == 1 + 2 + 3  # the account, two pages in vain, three

    def test_a_row_created_during_the_read_makes_it_start_anew(
        self, kimai: KimaiServer, office: Office, ids: list[int]
    ) -> None:
        rows, report, _ = self.sweep(kimai, lambda: add(kimai, office, DAY), 1)
        assert rows == [*ids, ids[-1] + 1]
        assert report.complete

    def test_a_row_that_came_twice_under_one_total_makes_it_start_anew(
        self, kimai: KimaiServer, office: Office
    ) -> None:
        (moved,) = add(kimai, office, DAY + timedelta(days=9))
        ids = add(kimai, office, *(DAY + timedelta(minutes=minute) for minute in range(1200)))
        table = kimai.kimai.timesheets

        def swap() -> None:
            begin = int(DAY.timestamp())
            table.put(replace(table.rows[moved], begin=begin, end=begin + 900))
            table.remove(ids[-1])

        rows, report, reads = self.sweep(kimai, swap, 1)
        assert rows == [moved, *ids[:-1]]
        assert report.complete
        assert reads == 1 + 3 + 3

    def test_rows_that_never_stand_still_leave_no_proof(self, kimai: KimaiServer, ids: list[int]) -> None:
        left = iter(ids)
        _, report, _ = self.sweep(kimai, lambda: kimai.kimai.timesheets.remove(next(left)), 2)
        assert not report.complete
        assert "went from 1199 to 1198" in report.reason

    def test_a_page_that_vanished_is_a_doubt_and_no_error(self, kimai: KimaiServer, ids: list[int]) -> None:
        def clear() -> None:
            for timesheet_id in ids[100:]:
                kimai.kimai.timesheets.remove(timesheet_id)

        rows, report, _ = self.sweep(kimai, clear, 1)
        assert rows == ids[:100]
        assert report.complete

    def test_a_search_that_may_have_missed_a_row_is_an_error(self, kimai: KimaiServer, ids: list[int]) -> None:
        left = iter(ids)
        app = Meddling(kimai.app(), lambda: kimai.kimai.timesheets.remove(next(left)), 2)
        with (
            ServerThread(app) as server,
            KimaiConnector(Endpoint("kimai", server.url, TOKEN)) as target,
            pytest.raises(UnavailableError, match="not complete"),
        ):
            target.find("[m-1]")


class TestFind:
    def test_only_the_whole_marker_counts(self, target: KimaiConnector, kimai: KimaiServer, office: Office) -> None:
        texts = [
            "Ticket #50 [zk-z-6]",
            "Ticket #50 [zk-z-66]",
            "Ticket #50 [ZK-Z-6]",
            "Ticket #50 [zk-z-6], corrected",
            "prefix[zk-z-6]",
            "zk-z-6",
            "[zk-z-6 ]",
        ]
        ids = [add(kimai, office, DAY, description=text)[0] for text in texts]
        assert [row.id for row in target.find("[zk-z-6]")] == [ids[0], ids[3], ids[4]]
        assert [row.id for row in target.find("zk-z-6")] == [ids[0], ids[3], ids[4], ids[5]]

    def test_wildcards_are_no_wildcards(self, target: KimaiConnector, kimai: KimaiServer, office: Office) -> None:
        ids = [add(kimai, office, DAY, description=text)[0] for text in ("[zk-a_b-1]", "[zk-axb-1]")]
        assert [row.id for row in target.find("[zk-a_b-1]")] == ids[:1]

    def test_it_finds_entries_of_any_day_user_and_place_on_any_page(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        far = [DAY + timedelta(days=day) for day in range(-300, 300)]
        ids = add(kimai, office, *far, description="[m-1]")
        ids += add(kimai, office, DAY, user=office.account, description="[m-1]")
        assert [row.id for row in target.find("[m-1]")] == ids

    def test_among_10000_others_it_costs_one_request(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        add(kimai, office, *([DAY] * 10_000), description="typed by hand")
        (made,) = add(kimai, office, DAY, description="x [zk-z-6]")
        assert [row.id for row in target.find("[zk-z-6]")] == [made]
        assert target.requests.reads == 1

    @pytest.mark.parametrize("marker", ["", "two words", "sync:jira-77", "!negated", " padded "])
    def test_a_marker_that_kimai_cannot_search_for_is_refused(self, target: KimaiConnector, marker: str) -> None:
        with pytest.raises(ValueError, match="cannot be searched for"):
            target.find(marker)


class TestGet:
    def test_only_kimais_own_not_found_is_none(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office
    ) -> None:
        (made,) = add(kimai, office, DAY)
        row = target.get(made)
        assert row is not None
        assert (row.id, row.begin, row.user_id) == (made, DAY, office.anna)
        assert target.get(4711) is None

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            ({"kind": "html", "status": 404}, ProtocolError),
            ({"kind": "respond", "status": 404, "text": '{"detail": "Not Found"}'}, ProtocolError),
            (
                {"kind": "respond", "status": 403, "text": '{"code": 403, "message": "Forbidden"}'},
                PermissionDeniedError,
            ),
            ({"kind": "respond", "status": 401, "text": ""}, AuthenticationError),
            ({"kind": "respond", "status": 500, "text": "{}"}, UnavailableError),
            ({"kind": "respond", "status": 400, "text": '{"code": 400, "message": "Bad Request"}'}, ProtocolError),
            ({"kind": "truncate"}, ProtocolError),
            ({"kind": "drop_before"}, UnavailableError),
        ],
    )
    def test_every_other_failure_is_an_error_and_no_absence(
        self,
        target: KimaiConnector,
        kimai_control: SandboxControl,
        kimai: KimaiServer,
        office: Office,
        fault: dict[str, Any],
        kind: type[ConnectorError],
    ) -> None:
        (made,) = add(kimai, office, DAY)
        kimai_control.add_fault(path=r"timesheets/\d+$", **fault)
        with pytest.raises(kind):
            target.get(made)

    def test_a_time_sheet_of_others_names_the_permission(
        self, kimai: KimaiServer, office: Office, connect_kimai: ConnectKimai
    ) -> None:
        kimai.add_user("bob", "bob@example.com", token="bob-token")
        (made,) = add(kimai, office, DAY)
        with pytest.raises(PermissionDeniedError) as caught:
            connect_kimai("bob-token").get(made)
        assert "view_other_timesheet" in caught.value.remedy


class TestDirectory:
    def test_it_costs_seven_requests_and_holds_hidden_and_ended_rows(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office, kimai_control: SandboxControl
    ) -> None:
        gone = kimai.add_user("gone", "gone@example.com", enabled=False, alias="Gone Girl")
        hidden = kimai.add_customer("Hidden", "C-9", visible=False)
        ended = kimai.add_project("Ended", hidden, "P-9", start=date(2020, 1, 1), end=date(2020, 12, 31))
        old = kimai.add_activity("Old", ended, visible=False)
        directory = target.fetch_directory()
        assert sum(kimai_control.requests().by_route.values()) == 7
        users = {user.id: user for user in directory.users}
        assert (users[gone].enabled, users[gone].name, users[gone].email) == (False, "Gone Girl", "gone@example.com")
        assert users[office.anna].timezone == "America/New_York"
        assert {row.id: row.visible for row in directory.customers} == {office.customer: True, hidden: False}
        project = next(row for row in directory.projects if row.id == ended)
        assert (project.start, project.end, project.number) == (date(2020, 1, 1), date(2020, 12, 31), "P-9")
        activity = next(row for row in directory.activities if row.id == old)
        assert (activity.project_id, activity.visible) == (ended, False)

    def test_the_server_tells_its_settings(self, target: KimaiConnector, kimai: KimaiServer, office: Office) -> None:
        kimai.configure({"timesheet.rules.allow_overlapping_records": False, "timesheet.mode": "punch"})
        server = target.fetch_directory().server
        assert (server.version, server.caller_id, server.caller_timezone) == ("2.65.0", office.account, "Europe/Berlin")
        assert (server.allow_overlapping, server.allow_future_times, server.tracking_mode) == (False, True, "punch")

    def test_before_2_45_users_have_no_address(self, target: KimaiConnector, kimai: KimaiServer) -> None:
        kimai.configure({"version": "2.44.0"})
        assert {user.email for user in target.fetch_directory().users} == {None}

    def test_before_2_14_it_is_refused(self, target: KimaiConnector, kimai_control: SandboxControl) -> None:
        kimai_control.add_fault("respond", path="version", status=200, text='{"version": "2.13.0"}')
        with pytest.raises(ProtocolError, match=r"Kimai 2\.13\.0 is too old") as caught:
            target.fetch_directory()
        assert "2.14" in caught.value.remedy

    def test_an_administrator_without_view_user_is_told_so(
        self, kimai: KimaiServer, connect_kimai: ConnectKimai
    ) -> None:
        kimai.add_user("boss", "boss@example.com", ["ROLE_ADMIN"], token="boss-token")
        with pytest.raises(PermissionDeniedError) as caught:
            connect_kimai("boss-token").fetch_directory()
        assert "view_user" in caught.value.remedy
