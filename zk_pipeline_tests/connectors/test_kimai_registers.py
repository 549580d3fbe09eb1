"""Customers, projects and tags of Kimai: created once, found by number, and never hidden by accident."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from zk_pipeline.connectors.errors import ConnectorError, PermissionDeniedError, StillInUseError, ValidationFailedError
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline_tests.connectors.conftest import ConnectKimai, Office
from zk_sandbox.client import SandboxControl
from zk_sandbox.kimai import KimaiServer, views


def test_a_customer_is_found_by_its_exact_number_even_when_hidden(
    target: KimaiConnector, kimai: KimaiServer, kimai_control: SandboxControl
) -> None:
    kimai.add_customer("Similar", "zammad-org-10", comment="not zammad-org-1")
    hidden = kimai.add_customer("Hidden", "zammad-org-1", visible=False)
    found = target.find_customer("zammad-org-1")
    assert found is not None
    assert found.id == hidden
    assert kimai_control.requests().writes == 0
    assert target.create_customer(name="New", number="zammad-org-1").id == hidden


def test_what_was_just_looked_for_is_created_with_one_request(
    target: KimaiConnector, kimai_control: SandboxControl
) -> None:
    assert (target.find_customer("zammad-org-1"), target.find_project("ZO1")) == (None, None)
    kimai_control.reset_requests()
    customer = target.create_customer(name="Acme", number="zammad-org-1")
    target.create_project(name="Acme support", number="ZO1", customer_id=customer.id)
    assert kimai_control.requests().by_route == {"POST /api/customers": 1, "POST /api/projects": 1}


def test_two_customers_of_one_name_stay_two(target: KimaiConnector) -> None:
    first = target.create_customer(name="Acme", number="zammad-org-1")
    second = target.create_customer(name="Acme", number="zammad-org-2")
    assert first.id != second.id


def test_a_project_that_ended_is_found(target: KimaiConnector, kimai: KimaiServer, office: Office) -> None:
    ended = kimai.add_project("Ended", office.customer, "ZO1", end=date(2020, 1, 1), visible=False)
    found = target.find_project("ZO1")
    assert found is not None
    assert found.id == ended
    assert target.create_project(name="New", number="ZO1", customer_id=office.customer).id == ended


def test_a_new_project_is_as_asked_for(target: KimaiConnector, office: Office) -> None:
    project = target.create_project(name="Acme support", number="ZO1", customer_id=office.customer)
    assert (project.name, project.number, project.customer_id) == ("Acme support", "ZO1", office.customer)
    assert project.visible
    assert project.global_activities


@pytest.mark.parametrize("number", ["a:b", "two words", "!bang"])
def test_a_number_that_kimai_cannot_search_for_is_found_all_the_same(
    target: KimaiConnector, kimai: KimaiServer, number: str
) -> None:
    known = kimai.add_customer("Known", number)
    found = target.find_customer(number)
    assert found is not None
    assert found.id == known
    assert target.create_customer(name="New", number=number).id == known


def test_when_somebody_else_was_quicker_theirs_is_taken(
    target: KimaiConnector, kimai: KimaiServer, kimai_control: SandboxControl
) -> None:
    assert target.find_customer("zammad-org-1") is None
    theirs = kimai.add_customer("Theirs", "zammad-org-1")
    kimai_control.reset_requests()
    assert target.create_customer(name="Ours", number="zammad-org-1").id == theirs
    assert kimai_control.requests().by_route == {"POST /api/customers": 1, "GET /api/customers": 1}


@pytest.mark.parametrize("kind", ["drop_after", "truncate"])
def test_a_lost_answer_is_looked_up_and_not_sent_again(
    target: KimaiConnector, kimai: KimaiServer, kimai_control: SandboxControl, kind: str
) -> None:
    kimai_control.add_fault(kind, method="POST", path="customers")
    created = target.create_customer(name="Acme", number="zammad-org-1")
    assert created.name == "Acme"
    assert kimai_control.requests().writes == 1
    assert len(kimai.kimai.customers) == 2


def test_a_creation_that_did_not_happen_stays_in_doubt(target: KimaiConnector, kimai_control: SandboxControl) -> None:
    kimai_control.add_fault("drop_before", method="POST", path="customers")
    with pytest.raises(ConnectorError) as caught:
        target.create_customer(name="Acme", number="zammad-org-1")
    assert caught.value.outcome_unknown


@pytest.mark.parametrize(
    ("name", "number", "field"), [("<b>", "1", "name"), ("x", "1", "name"), ("Acme", "n" * 51, "number")]
)
def test_a_bad_name_or_number_is_refused_by_field(target: KimaiConnector, name: str, number: str, field: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        target.create_customer(name=name, number=number)
    assert set(caught.value.fields) == {field}


@pytest.mark.parametrize(
    ("create", "permission"),
    [
        (lambda target, _: target.create_customer(name="Acme", number="zammad-org-1"), "create_customer"),
        (lambda target, at: target.create_project(name="Acme", number="ZO1", customer_id=at), "create_project"),
    ],
)
def test_a_missing_permission_is_named(
    kimai: KimaiServer,
    office: Office,
    connect_kimai: ConnectKimai,
    create: Callable[[KimaiConnector, int], object],
    permission: str,
) -> None:
    kimai.add_user("lead", "lead@example.com", ["ROLE_TEAMLEAD"], token="lead-token")
    with pytest.raises(PermissionDeniedError) as caught:
        create(connect_kimai("lead-token"), office.customer)
    assert permission in caught.value.remedy


def test_tags_are_created_visible_and_once(
    target: KimaiConnector, kimai: KimaiServer, kimai_control: SandboxControl
) -> None:
    target.ensure_tags(["zammad", "synced", "zammad"])
    target.ensure_tags(["zammad", "synced"])
    assert {(tag.name, tag.visible) for tag in kimai.kimai.tags} == {("zammad", True), ("synced", True)}
    assert kimai_control.requests().writes == 2


@pytest.mark.parametrize("known", ["ZAMMAD", "Zämmad"])
def test_a_tag_that_differs_in_case_or_accents_is_the_same(
    target: KimaiConnector, kimai: KimaiServer, kimai_control: SandboxControl, known: str
) -> None:
    kimai.add_tag(known)
    target.ensure_tags(["zammad"])
    assert kimai_control.requests().writes == 0


def test_a_tag_that_is_part_of_another_is_another(target: KimaiConnector, kimai: KimaiServer) -> None:
    kimai.add_tag("zammad-import")
    target.ensure_tags(["zammad"])
    assert {tag.name for tag in kimai.kimai.tags} == {"zammad", "zammad-import"}


def test_a_hidden_tag_is_a_refusal_that_tells_who_can_help(target: KimaiConnector, kimai: KimaiServer) -> None:
    kimai.add_tag("Zammad", visible=False)
    with pytest.raises(ValidationFailedError, match="'zammad' exists but is hidden") as caught:
        target.ensure_tags(["zammad"])
    assert "make the tag visible" in caught.value.remedy


def test_a_tag_that_somebody_else_just_made_is_no_error(
    target: KimaiConnector, kimai: KimaiServer, kimai_control: SandboxControl
) -> None:
    kimai.add_tag("zammad")
    kimai_control.add_fault("respond", method="GET", path="tags/find", status=200, text="[]", times=1)
    target.ensure_tags(["zammad"])
    assert len(kimai.kimai.tags) == 1


@pytest.mark.parametrize("name", ["x", "a,b", "<b>"])
def test_a_name_that_no_tag_may_have_is_refused(target: KimaiConnector, name: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        target.ensure_tags([name])
    assert set(caught.value.fields) == {"name"}
    assert "hidden" not in str(caught.value)


def test_a_tag_without_its_permission_names_it(target: KimaiConnector, kimai: KimaiServer) -> None:
    roles = ("ROLE_USER", "ROLE_TEAMLEAD", "ROLE_ADMIN", "ROLE_SUPER_ADMIN")
    kimai.configure({"permissions": {role: {"create_tag": False} for role in roles}})
    with pytest.raises(PermissionDeniedError) as caught:
        target.ensure_tags(["zammad"])
    assert "create_tag" in caught.value.remedy


def test_messages_of_a_refusal_without_form_are_kept(target: KimaiConnector, kimai_control: SandboxControl) -> None:
    body: dict[str, Any] = {"code": "400", "message": "There was a problem saving."}
    kimai_control.add_fault("respond", method="POST", status=400, text=json.dumps(body))
    with pytest.raises(ValidationFailedError, match="problem saving") as caught:
        target.create_customer(name="Acme", number="zammad-org-1")
    assert caught.value.fields == {"": ("There was a problem saving.",)}


def test_a_project_with_time_sheets_of_others_is_not_deleted(
    target: KimaiConnector, kimai: KimaiServer, office: Office, kimai_control: SandboxControl
) -> None:
    project = kimai.add_project("Ours", office.customer, "ZO1")
    begin = datetime(2025, 8, 1, 9, tzinfo=UTC)
    kimai.add_timesheet(office.anna, project, office.activity, begin, begin + timedelta(hours=1), "hers")
    with pytest.raises(StillInUseError, match="1 time sheets refer to it"):
        target.delete_project(project, number="ZO1")
    assert kimai_control.requests().writes == 0
    assert len(kimai.kimai.timesheets) == 1


def test_a_project_with_activities_of_its_own_is_not_deleted(
    target: KimaiConnector, kimai: KimaiServer, office: Office
) -> None:
    project = kimai.add_project("Ours", office.customer, "ZO1")
    kimai.add_activity("Special", project=project)
    with pytest.raises(StillInUseError, match="activities of its own"):
        target.delete_project(project, number="ZO1")


def test_a_filter_that_kimai_ignores_deletes_nothing(
    target: KimaiConnector, kimai: KimaiServer, office: Office, kimai_control: SandboxControl
) -> None:
    begin = datetime(2025, 8, 1, 9, tzinfo=UTC)
    kimai.add_timesheet(office.anna, office.project, office.activity, begin, begin + timedelta(hours=1), "elsewhere")
    gone = kimai.add_project("Ours", office.customer, "ZO1")
    row = json.dumps(views.project_entity(kimai.kimai, kimai.kimai.projects.rows[gone]), default=str)
    target.delete_project(gone, number="ZO1")
    kimai_control.reset_requests()
    kimai_control.add_fault("respond", method="GET", path=f"projects/{gone}$", status=200, text=row, times=1)
    with pytest.raises(StillInUseError, match="1 time sheets refer to it"):
        target.delete_project(gone, number="ZO1")
    assert kimai_control.requests().writes == 0


def test_a_customer_with_projects_is_not_deleted(target: KimaiConnector, kimai: KimaiServer) -> None:
    customer = kimai.add_customer("Ours", "zammad-org-1")
    kimai.add_project("Hidden", customer, visible=False, end=date(2020, 1, 1))
    with pytest.raises(StillInUseError, match="It has projects"):
        target.delete_customer(customer, number="zammad-org-1")


@pytest.mark.parametrize("number", ["", "ZO2"])
def test_a_project_of_another_number_is_not_ours_to_delete(
    target: KimaiConnector, kimai: KimaiServer, office: Office, number: str
) -> None:
    project = kimai.add_project("Theirs", office.customer, "ZO1")
    with pytest.raises(StillInUseError, match="not the one meant"):
        target.delete_project(project, number=number)


def test_an_account_that_sees_only_its_own_time_sheets_deletes_nothing(
    connect_kimai: ConnectKimai, kimai: KimaiServer, office: Office
) -> None:
    kimai.add_user("plain", "plain@example.com", ["ROLE_USER"], "UTC", "token-of-a-plain-user")
    project = kimai.add_project("Ours", office.customer, "ZO1")
    with pytest.raises(PermissionDeniedError, match="view_other_timesheet"):
        connect_kimai("token-of-a-plain-user").delete_project(project, number="ZO1")
    kimai.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_other_timesheet": False}}})
    with pytest.raises(PermissionDeniedError, match="view_other_timesheet"):
        connect_kimai().delete_project(project, number="ZO1")
