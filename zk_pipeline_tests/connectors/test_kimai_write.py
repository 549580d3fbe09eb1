"""Writing time sheets: exact times in the right zone, one attempt, checked answers, refusals with their reason."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zk_pipeline.connectors.errors import (
    AuthenticationError,
    ConnectorError,
    PermissionDeniedError,
    ProtocolError,
    UnavailableError,
    ValidationFailedError,
)
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.domain.records import Timesheet, TimesheetChange, TimesheetDraft
from zk_pipeline_tests.connectors.conftest import DAY, ConnectKimai, Office, Pauses
from zk_sandbox.client import SandboxControl
from zk_sandbox.kimai import KimaiServer

QUARTER = timedelta(minutes=15)
BEGIN = DAY + timedelta(hours=8)
MARKER = "[zk-zammad-6]"
POSTED = "/api/timesheets$"

AUTUMN_BERLIN = datetime(2025, 10, 26, 0, tzinfo=UTC)
SPRING_BERLIN = datetime(2026, 3, 29, 0, tzinfo=UTC)
AUTUMN_NEW_YORK = datetime(2025, 11, 2, 5, tzinfo=UTC)
SPRING_NEW_YORK = datetime(2026, 3, 8, 6, tzinfo=UTC)
NIGHTS = [
    night + QUARTER * number
    for night in (AUTUMN_BERLIN, SPRING_BERLIN, AUTUMN_NEW_YORK, SPRING_NEW_YORK)
    for number in range(12)
]


@pytest.fixture
def draft(kimai: KimaiServer, office: Office) -> TimesheetDraft:
    kimai.add_tag("zammad")
    return TimesheetDraft(
        office.anna, office.project, office.activity, BEGIN, BEGIN + QUARTER, f"Ticket #50 {MARKER}", ("zammad",)
    )


@pytest.fixture
def made(target: KimaiConnector, draft: TimesheetDraft) -> Timesheet:
    timesheet = target.get(target.create(draft).id)
    assert timesheet is not None
    return timesheet


def stored(kimai: KimaiServer, timesheet_id: int) -> datetime:
    return datetime.fromtimestamp(kimai.kimai.timesheets.rows[timesheet_id].begin, UTC)


class TestCreate:
    @pytest.mark.parametrize("begin", NIGHTS, ids=lambda moment: moment.isoformat())
    def test_the_instant_is_right_on_every_night_of_changing_clocks(
        self, target: KimaiConnector, kimai: KimaiServer, draft: TimesheetDraft, begin: datetime
    ) -> None:
        created = target.create(replace(draft, begin=begin, end=begin + QUARTER))
        assert (created.begin, created.end) == (begin, begin + QUARTER)
        assert stored(kimai, created.id) == begin

    @pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York", "Australia/Lord_Howe"])
    def test_the_zone_that_counts_is_the_accounts(
        self,
        kimai: KimaiServer,
        connect_kimai: ConnectKimai,
        draft: TimesheetDraft,
        zone: str,
    ) -> None:
        kimai.add_user("other", "other@example.com", ["ROLE_SUPER_ADMIN"], zone, "other-token")
        created = connect_kimai("other-token").create(draft)
        assert created.begin == stored(kimai, created.id) == BEGIN
        assert created.user_id == draft.user_id

    def test_an_ordinary_time_is_sent_without_offset(
        self, target: KimaiConnector, kimai_control: SandboxControl, draft: TimesheetDraft
    ) -> None:
        kimai_control.add_fault("respond", body='"begin": ?"2025-08-16T10:00:00"', status=400, text=refusal())
        with pytest.raises(ValidationFailedError):
            target.create(draft)

    def test_what_the_server_rounds_is_returned_as_it_is(
        self, target: KimaiConnector, kimai: KimaiServer, draft: TimesheetDraft
    ) -> None:
        kimai.configure({"timesheet.rounding.default.begin": 15, "timesheet.rounding.default.end": 15})
        odd = replace(draft, begin=BEGIN + timedelta(minutes=7), end=BEGIN + timedelta(minutes=22))
        created = target.create(odd)
        assert (created.begin, created.end) == (BEGIN, BEGIN + 2 * QUARTER)

    def test_an_account_whose_zone_was_changed_is_noticed_and_asked_for_anew(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office, draft: TimesheetDraft
    ) -> None:
        target.create(draft)
        account = kimai.kimai.users.rows[office.account]
        kimai.kimai.users.put(replace(account, timezone="Asia/Tokyo"))
        with pytest.raises(ProtocolError, match="in another zone") as caught:
            target.create(draft)
        assert caught.value.outcome_unknown
        assert target.create(draft).begin == BEGIN

    def test_a_tag_that_kimai_drops_is_missing_in_the_result_and_logged(
        self, target: KimaiConnector, draft: TimesheetDraft, caplog: pytest.LogCaptureFixture
    ) -> None:
        created = target.create(replace(draft, tags=("Zammad", "unknown")))
        assert created.tags == ("zammad",)
        assert "['unknown']" in caplog.text

    @pytest.mark.parametrize("field", ["user", "project", "activity"])
    def test_something_else_than_was_sent_is_an_error_that_names_the_time_sheet(
        self, target: KimaiConnector, kimai_control: SandboxControl, made: Timesheet, draft: TimesheetDraft, field: str
    ) -> None:
        answer = json.dumps({**made.raw, field: 99})
        kimai_control.add_fault("respond", method="POST", path=POSTED, status=200, text=answer)
        with pytest.raises(ProtocolError, match=f"Time sheet {made.id} has the {field} 99 instead of") as caught:
            target.create(draft)
        assert caught.value.outcome_unknown

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "drop_before"},
            {"kind": "drop_after"},
            {"kind": "truncate"},
            {"kind": "html", "status": 200},
            {"kind": "html", "status": 502},
            {"kind": "respond", "status": 500, "text": "{}"},
        ],
        ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
    )
    def test_a_lost_answer_is_not_sent_again_and_can_be_looked_up(
        self,
        connect_kimai: ConnectKimai,
        kimai_control: SandboxControl,
        draft: TimesheetDraft,
        fault: dict[str, Any],
    ) -> None:
        kimai_control.add_fault(method="POST", path=POSTED, **fault)
        target = connect_kimai(timeout_seconds=0.3)
        with pytest.raises(ConnectorError) as caught:
            target.create(draft)
        assert caught.value.outcome_unknown
        assert target.requests.writes == 1
        took_effect = fault["kind"] in {"drop_after", "truncate"}
        assert len(target.find(MARKER)) == took_effect

    def test_one_that_takes_effect_after_we_gave_up_is_found_later(
        self, connect_kimai: ConnectKimai, kimai_control: SandboxControl, draft: TimesheetDraft
    ) -> None:
        kimai_control.add_fault("late", method="POST", path=POSTED, seconds=0.4)
        target = connect_kimai(timeout_seconds=0.2)
        with pytest.raises(UnavailableError) as caught:
            target.create(draft)
        assert caught.value.outcome_unknown
        deadline = time.monotonic() + 10
        while not (found := target.find(MARKER)) and time.monotonic() < deadline:
            pass
        assert [row.begin for row in found] == [BEGIN]

    def test_a_limit_is_waited_for_since_nothing_happened(
        self, target: KimaiConnector, kimai_control: SandboxControl, draft: TimesheetDraft, pauses: Pauses
    ) -> None:
        kimai_control.add_fault("respond", method="POST", status=429, headers={"Retry-After": "2"}, times=1)
        target.create(draft)
        assert pauses.seconds == [2.0]
        assert len(target.find(MARKER)) == 1

    @pytest.mark.parametrize(
        ("spoil", "field"),
        [
            (lambda draft: replace(draft, project_id=4711), "project"),
            (lambda draft: replace(draft, activity_id=4711), "activity"),
            (lambda draft: replace(draft, user_id=4711), "user"),
            (lambda draft: replace(draft, end=draft.begin - QUARTER), ""),
        ],
    )
    def test_a_refusal_names_the_field(
        self,
        target: KimaiConnector,
        draft: TimesheetDraft,
        spoil: Callable[[TimesheetDraft], TimesheetDraft],
        field: str,
    ) -> None:
        with pytest.raises(ValidationFailedError) as caught:
            target.create(spoil(draft))
        assert set(caught.value.fields) == {field}
        assert caught.value.status == 400
        assert not caught.value.outcome_unknown

    def test_an_ended_project_is_a_refusal_of_the_project(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office, draft: TimesheetDraft
    ) -> None:
        ended = kimai.add_project("Ended", office.customer, end=DAY.date())
        kimai.configure({"now": (DAY + timedelta(days=60)).isoformat()})
        with pytest.raises(ValidationFailedError, match="project"):
            target.create(replace(draft, project_id=ended))

    def test_a_description_that_does_not_fit_is_refused_before_it_is_sent(
        self, target: KimaiConnector, draft: TimesheetDraft
    ) -> None:
        with pytest.raises(ValidationFailedError, match="65536 bytes") as caught:
            target.create(replace(draft, description="ü" * 32_768))
        assert set(caught.value.fields) == {"description"}
        assert target.requests.writes == 0

    def test_a_description_that_just_fits_arrives(self, target: KimaiConnector, draft: TimesheetDraft) -> None:
        assert len(target.create(replace(draft, description="x" * 65_535)).description) == 65_535

    def test_without_the_permission_for_others_the_missing_field_is_named_with_its_permission(
        self, kimai: KimaiServer, connect_kimai: ConnectKimai, draft: TimesheetDraft
    ) -> None:
        kimai.add_user("bob", "bob@example.com", token="bob-token")
        with pytest.raises(PermissionDeniedError, match="field user") as caught:
            connect_kimai("bob-token").create(draft)
        assert "create_other_timesheet" in caught.value.remedy

    @pytest.mark.parametrize("permission", ["create_own_timesheet", "api_access"])
    def test_a_bare_403_names_the_permissions_that_the_call_needs(
        self, target: KimaiConnector, kimai: KimaiServer, draft: TimesheetDraft, permission: str
    ) -> None:
        roles = ("ROLE_USER", "ROLE_TEAMLEAD", "ROLE_ADMIN", "ROLE_SUPER_ADMIN")
        kimai.configure({"permissions": {role: {permission: False} for role in roles}})
        with pytest.raises(PermissionDeniedError) as caught:
            target.create(draft)
        assert permission in caught.value.remedy

    def test_an_expired_token_is_an_authentication_error_and_no_doubt(
        self, connect_kimai: ConnectKimai, kimai: KimaiServer, office: Office, draft: TimesheetDraft
    ) -> None:
        target = connect_kimai()
        target.fetch_directory()
        target.create(draft)
        kimai.kimai.users.put(replace(kimai.kimai.users.rows[office.account], tokens=()))
        with pytest.raises(AuthenticationError) as caught:
            target.create(draft)
        assert not caught.value.outcome_unknown


def refusal() -> str:
    return '{"code": 400, "message": "Validation Failed", "errors": {"errors": ["no"], "children": {}}}'


class TestUpdate:
    @pytest.mark.parametrize("begin", NIGHTS, ids=lambda moment: moment.isoformat())
    def test_the_instant_is_right_in_the_owners_zone_on_every_night(
        self, target: KimaiConnector, kimai: KimaiServer, made: Timesheet, begin: datetime
    ) -> None:
        changed = target.update(made, TimesheetChange(begin=begin, end=begin + QUARTER))
        assert (changed.begin, changed.end) == (begin, begin + QUARTER)
        assert stored(kimai, made.id) == begin
        assert target.requests.writes == 2  # the creation and one change

    def test_what_was_just_created_can_be_changed_at_once(
        self, target: KimaiConnector, kimai: KimaiServer, draft: TimesheetDraft
    ) -> None:
        created = target.create(draft)  # shows the account's offset, though the owner's zone is stored
        changed = target.update(created, TimesheetChange(begin=BEGIN - QUARTER))
        assert changed.begin == stored(kimai, created.id) == BEGIN - QUARTER

    def test_an_entry_stored_in_a_former_zone_of_its_owner_is_changed_exactly(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office, made: Timesheet
    ) -> None:
        kimai.kimai.users.put(replace(kimai.kimai.users.rows[office.anna], timezone="Asia/Tokyo"))
        changed = target.update(made, TimesheetChange(begin=BEGIN + QUARTER, end=BEGIN + 2 * QUARTER))
        assert changed.begin == stored(kimai, made.id) == BEGIN + QUARTER
        assert target.requests.writes == 2  # the creation and one change

    def test_a_former_zone_of_the_same_offset_is_noticed_and_corrected(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office, made: Timesheet
    ) -> None:
        # La Paz has New York's summer offset all year: in January the two part.
        kimai.kimai.users.put(replace(kimai.kimai.users.rows[office.anna], timezone="America/La_Paz"))
        january = datetime(2025, 1, 15, 12, tzinfo=UTC)
        changed = target.update(made, TimesheetChange(begin=january, end=january + QUARTER))
        assert (changed.begin, changed.end) == (january, january + QUARTER)
        assert stored(kimai, made.id) == january

    def test_an_account_that_cannot_list_users_changes_times_exactly(
        self, kimai: KimaiServer, connect_kimai: ConnectKimai, made: Timesheet
    ) -> None:
        kimai.add_user("boss", "boss@example.com", ["ROLE_ADMIN"], "Asia/Tokyo", "boss-token")
        boss = connect_kimai("boss-token")
        changed = boss.update(made, TimesheetChange(begin=AUTUMN_NEW_YORK, end=AUTUMN_NEW_YORK + QUARTER))
        assert changed.begin == stored(kimai, made.id) == AUTUMN_NEW_YORK
        boss.update(changed, TimesheetChange(begin=BEGIN, end=BEGIN + QUARTER))
        assert stored(kimai, made.id) == BEGIN

    def test_each_field_can_be_changed_and_the_rest_stays(
        self, target: KimaiConnector, kimai: KimaiServer, office: Office, made: Timesheet
    ) -> None:
        kimai.add_tag("synced")
        project = kimai.add_project("Other", office.customer)
        activity = kimai.add_activity("Other")
        change = TimesheetChange(
            user_id=office.account,
            project_id=project,
            activity_id=activity,
            description="new",
            tags=("synced", "zammad"),
            billable=False,
        )
        changed = target.update(made, change)
        assert changed == replace(
            made,
            user_id=office.account,
            project_id=project,
            activity_id=activity,
            description="new",
            tags=("synced", "zammad"),
            billable=False,
        )

    def test_tags_and_description_can_be_emptied(self, target: KimaiConnector, made: Timesheet) -> None:
        changed = target.update(made, TimesheetChange(tags=(), description=""))
        assert (changed.tags, changed.description) == ((), "")

    def test_a_lost_answer_is_sent_again(
        self, target: KimaiConnector, kimai_control: SandboxControl, made: Timesheet
    ) -> None:
        kimai_control.add_fault("drop_after", method="PATCH", times=1)
        assert target.update(made, TimesheetChange(description="new")).description == "new"

    def test_one_that_is_exported_names_the_permission(
        self, kimai: KimaiServer, connect_kimai: ConnectKimai, office: Office
    ) -> None:
        lead = kimai.add_user("lead", "lead@example.com", ["ROLE_TEAMLEAD"], token="lead-token")
        kimai.add_team("Support", [lead], [office.anna])
        made = kimai.add_timesheet(office.anna, office.project, office.activity, BEGIN, BEGIN + QUARTER, exported=True)
        target = connect_kimai("lead-token")
        current = target.get(made)
        assert current is not None
        with pytest.raises(PermissionDeniedError) as caught:
            target.update(current, TimesheetChange(description="new"))
        assert "edit_exported_timesheet" in caught.value.remedy


class TestDelete:
    def test_a_lost_answer_is_sent_again_and_gone_is_gone(
        self, target: KimaiConnector, kimai_control: SandboxControl, made: Timesheet
    ) -> None:
        kimai_control.add_fault("drop_after", method="DELETE", times=1)
        target.delete(made.id)
        assert target.get(made.id) is None

    def test_a_failure_is_no_success(
        self, target: KimaiConnector, kimai_control: SandboxControl, made: Timesheet
    ) -> None:
        kimai_control.add_fault("html", method="DELETE", status=404)
        with pytest.raises(ProtocolError):
            target.delete(made.id)
        kimai_control.clear_faults()
        kimai_control.add_fault("respond", method="DELETE", status=500)
        with pytest.raises(UnavailableError):
            target.delete(made.id)
