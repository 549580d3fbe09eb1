"""Which user, activity, customer and project an entry belongs to."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.mapping import OWN_CUSTOMER, Assignment, AssignmentProblem, Mappings, ProjectPlan, Resolver
from zk_pipeline.domain.policy import Policy, ProjectStrategy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Customer, Organization, SourceDirectory, TargetDirectory
from zk_pipeline_tests.domain.builders import (
    ACME,
    ACME_PROJECT,
    ANNA,
    BEN,
    DAY,
    MAPPINGS,
    POLICY,
    SOURCE_DIRECTORY,
    SUPPORT,
    TRAVEL,
    entry,
    resolver,
    target_directory,
)

EMPTY = {"customers": (), "projects": ()}
BY_HAND = Customer(31, "acme", "K-0031", visible=True)


def with_strategy(strategy: ProjectStrategy, **changes: Any) -> Policy:
    return replace(POLICY, project_strategy=strategy, **changes)


def project_of(
    row: Entry, directory: TargetDirectory, *, policy: Policy = POLICY, customers: dict[int, int] | None = None
) -> ProjectPlan:
    plan = resolver(directory, replace(MAPPINGS, customers=customers or {}), policy).project(row)
    assert isinstance(plan, ProjectPlan)
    return plan


def problem_of(row: Entry, directory: TargetDirectory | None = None, **more: Any) -> AssignmentProblem:
    problem = resolver(directory, **more).resolve(row)
    assert isinstance(problem, AssignmentProblem)
    return problem


def test_an_entry_is_assigned_to_person_activity_and_project():
    assignment = resolver().resolve(entry())
    assert isinstance(assignment, Assignment)
    assert (assignment.user, assignment.activity) == (ANNA, SUPPORT)
    assert (assignment.project.id, assignment.project.number, assignment.project.customer.id) == (40, "ZO7", 30)


@pytest.mark.parametrize("email", ["anna@example.org", "ANNA@Example.ORG"])
def test_a_user_is_found_by_email_in_whatever_case(email: str):
    assert resolver().user(entry(user_email=email)) == ANNA


def test_a_user_is_found_by_a_user_name_that_is_the_email():
    named = replace(BEN, username="Anna@Example.org", email=None)
    assert resolver(target_directory(users=(named,))).user(entry()) == named


def test_an_email_goes_before_a_user_name():
    named = replace(BEN, username="anna@example.org")
    assert resolver(target_directory(users=(named, ANNA))).user(entry()) == ANNA


@pytest.mark.parametrize("order", [1, -1])
def test_an_email_of_two_users_is_nobodys(order: int):
    users = (ANNA, replace(BEN, email="Anna@example.org"), replace(BEN, id=12, username="anna@example.org"))[::order]
    assert problem_of(entry(), target_directory(users=users)).reason is Reason.UNMAPPED_USER


def test_the_operators_mapping_goes_before_the_email():
    mappings = replace(MAPPINGS, users={"anna@example.org": BEN.id})
    assert resolver(mappings=mappings).user(entry(user_email="Anna@example.org")) == BEN


def test_a_mapping_to_a_user_who_is_gone_does_not_fall_back_to_the_email():
    problem = problem_of(entry(), mappings=replace(MAPPINGS, users={"anna@example.org": 99}))
    assert problem == AssignmentProblem(
        Reason.UNMAPPED_USER, "anna@example.org is mapped to Kimai user 99, who is gone."
    )


@pytest.mark.parametrize("email", ["", "carol@example.org"])
def test_an_agent_unknown_to_kimai_is_never_the_tokens_owner(email: str):
    users = (ANNA, replace(BEN, email=None), replace(BEN, id=1, username="sync", email=""))
    assert problem_of(entry(user_email=email), target_directory(users=users)).reason is Reason.UNMAPPED_USER


def test_an_activity_is_found_by_the_type():
    assert resolver().activity(entry()) == SUPPORT


def test_an_organization_may_have_its_own_activity():
    mappings = Mappings(activities={("3", None): SUPPORT.id, ("3", "7"): TRAVEL.id})
    assert resolver(mappings=mappings).activity(entry()) == TRAVEL
    assert resolver(mappings=mappings).activity(entry(organization_id="8")) == SUPPORT
    assert resolver(mappings=mappings).activity(entry(organization_id=None)) == SUPPORT


def test_bookings_without_type_are_mapped_like_a_type():
    untyped = entry(activity_type_id=None, activity_name=None)
    assert resolver(mappings=Mappings(activities={(None, None): TRAVEL.id})).activity(untyped) == TRAVEL
    assert problem_of(untyped) == AssignmentProblem(
        Reason.UNMAPPED_ACTIVITY, "Bookings with no type have no Kimai activity."
    )


def test_an_unmapped_type_is_named():
    problem = problem_of(entry(activity_type_id="4", activity_name="Consulting"))
    assert problem == AssignmentProblem(
        Reason.UNMAPPED_ACTIVITY, "Bookings with type Consulting have no Kimai activity."
    )


def test_an_activity_that_is_gone_is_named():
    problem = problem_of(entry(), mappings=Mappings(activities={("3", None): 99}))
    assert problem.text == "Bookings with type Support go to Kimai activity 99, which is gone."


def test_customer_and_project_are_planned_under_their_numbers():
    plan = project_of(entry(), target_directory(**EMPTY))
    assert (plan.id, plan.number, plan.name) == (None, "ZO7", "Acme")
    assert (plan.customer.id, plan.customer.number, plan.customer.name) == (None, "zammad-org-7", "Acme")


def test_a_new_project_of_a_known_customer_is_planned_with_its_id():
    plan = project_of(entry(), target_directory(projects=()))
    assert (plan.id, plan.customer.id) == (None, ACME.id)


def test_a_renamed_customer_is_still_found_by_its_number():
    plan = project_of(entry(), target_directory(customers=(replace(ACME, name="Acme Holding"),)))
    assert (plan.id, plan.customer.id) == (ACME_PROJECT.id, ACME.id)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_rows_with_one_number_the_older_one_is_taken(order: int):
    directory = target_directory(
        customers=(ACME, replace(ACME, id=35))[::order], projects=(ACME_PROJECT, replace(ACME_PROJECT, id=45))[::order]
    )
    plan = project_of(entry(), directory)
    assert (plan.id, plan.customer.id) == (ACME_PROJECT.id, ACME.id)


def test_tickets_without_organization_go_to_the_fallback_customer():
    plan = project_of(entry(organization_id=None, organization_name=None), target_directory())
    assert (plan.number, plan.customer.number, plan.customer.name) == ("ZO0", "zammad-org-0", "Without organization")


def test_the_same_id_in_two_sources_is_two_customers_and_two_projects():
    found = Resolver(target_directory(), MAPPINGS, POLICY, SOURCE_DIRECTORY, space="jira").project(
        entry(organization_name="Bolt")
    )
    assert isinstance(found, ProjectPlan)
    assert (found.id, found.number, found.customer.id, found.customer.number) == (None, "O7-jira", None, "jira-org-7")


def test_a_customer_of_another_source_is_a_namesake():
    found = Resolver(target_directory(), MAPPINGS, POLICY, SOURCE_DIRECTORY, space="jira").project(entry())
    assert isinstance(found, AssignmentProblem)
    assert "(id 30, number zammad-org-7)" in found.text


def test_an_organization_without_name_gets_a_name():
    assert project_of(entry(organization_name=None), target_directory(**EMPTY)).name == "Organization 7"


def test_two_organizations_of_one_name_stay_two_customers():
    one = project_of(entry(), target_directory(**EMPTY))
    other = project_of(entry(organization_id="8"), target_directory(**EMPTY))
    assert one.customer.name == other.customer.name
    assert (one.number, one.customer.number) != (other.number, other.customer.number)


def test_a_customer_of_another_organization_is_not_offered_for_its_name():
    plan = project_of(entry(organization_id="8"), target_directory())
    assert (plan.customer.id, plan.customer.number) == (None, "zammad-org-8")


def test_a_customer_of_that_name_is_offered_not_taken():
    problem = problem_of(entry(), target_directory(customers=(BY_HAND,), projects=()))
    assert problem.reason is Reason.UNMAPPED_CUSTOMER
    assert "id 31" in problem.text


def test_a_customer_of_that_name_is_taken_where_the_policy_says_so():
    directory = target_directory(customers=(BY_HAND,), projects=())
    plan = project_of(entry(), directory, policy=replace(POLICY, adopt_by_name=True))
    assert plan.customer.id == BY_HAND.id


def test_a_name_of_two_organizations_adopts_no_customer():
    policy = replace(POLICY, adopt_by_name=True)
    organizations = (Organization("7", "Acme", active=True), Organization("8", "ACME ", active=True))
    directory = target_directory(customers=(BY_HAND,), projects=())
    source = SourceDirectory((), organizations, ())
    found = Resolver(directory, MAPPINGS, policy, source, space="zammad").project(entry())
    assert isinstance(found, AssignmentProblem)
    assert found.reason is Reason.UNMAPPED_CUSTOMER


@pytest.mark.parametrize("adopt", [True, False])
def test_two_customers_of_that_name_are_both_offered_with_their_numbers(adopt: bool):
    hidden = replace(BY_HAND, id=32, name="ACME", number=None, visible=False)
    directory = target_directory(customers=(BY_HAND, hidden), projects=())
    problem = problem_of(entry(), directory, policy=replace(POLICY, adopt_by_name=adopt))
    assert problem == AssignmentProblem(
        Reason.UNMAPPED_CUSTOMER,
        "Kimai has 2 customers of the name Acme already: acme (id 31, number K-0031), ACME (id 32, no number, hidden). "
        "Take one of them, or a new one?",
    )


@pytest.mark.parametrize(
    ("organization", "customer"),
    [
        ("B\u00e4ckerei M\u00fcller", "Ba\u0308ckerei Mu\u0308ller"),
        ("Acme Two GmbH", "Acme  Two GmbH"),
        ("Acme Two", "Acme\u00a0Two"),
        ('Labor "Nord" <X>', 'Labor "Nord" <X>'),
        ("Verein zur F\u00f6rderung " * 8, ("Verein zur F\u00f6rderung " * 8)[:150]),
    ],
)
def test_nothing_is_created_beside_a_namesake(organization: str, customer: str):
    directory = target_directory(customers=(replace(BY_HAND, name=customer),), projects=())
    problem = problem_of(entry(organization_name=organization), directory)
    assert problem.reason is Reason.UNMAPPED_CUSTOMER
    assert "(id 31, number K-0031)" in problem.text


def test_a_customer_of_an_organization_that_is_gone_is_a_namesake():
    gone = replace(ACME, number="zammad-org-6")
    assert "(id 30, number zammad-org-6)" in problem_of(entry(), target_directory(customers=(gone,), projects=())).text


def test_a_project_is_not_created_beside_a_namesake_of_its_customer():
    by_hand = replace(ACME_PROJECT, id=44, name=" acme", number="P-1")
    problem = problem_of(entry(), target_directory(projects=(by_hand,)))
    assert problem.reason is Reason.UNMAPPED_CUSTOMER
    assert "already has a project of this name:  acme (id 44, number P-1); give it the number ZO7" in problem.text
    elsewhere = replace(by_hand, customer_id=BY_HAND.id)
    assert project_of(entry(), target_directory(projects=(elsewhere,))).id is None


def test_a_customer_that_is_mapped_to_one_organization_is_not_offered_to_another():
    directory = target_directory(customers=(BY_HAND,), projects=())
    plan = project_of(entry(organization_id="8"), directory, customers={"7": BY_HAND.id})
    assert plan.customer.id is None


def test_the_operator_may_map_an_organization_or_give_it_a_customer_of_its_own():
    directory = target_directory(customers=(BY_HAND,), projects=())
    assert project_of(entry(), directory, customers={"7": BY_HAND.id}).customer.id == BY_HAND.id
    assert project_of(entry(), directory, customers={"7": OWN_CUSTOMER}).customer.id is None


def test_a_mapping_to_a_customer_who_is_gone_is_a_problem():
    problem = problem_of(entry(), mappings=replace(MAPPINGS, customers={"7": 99}))
    assert problem == AssignmentProblem(Reason.UNMAPPED_CUSTOMER, "Acme is mapped to customer 99, which is gone.")


@pytest.mark.parametrize("customers", [(BY_HAND,), (replace(ACME, id=33), BY_HAND)])
def test_a_project_of_another_customer_is_never_used(customers: tuple[Customer, ...]):
    moved = replace(ACME_PROJECT, customer_id=BY_HAND.id)
    policy_free = replace(MAPPINGS, customers={"7": OWN_CUSTOMER})
    problem = problem_of(entry(), target_directory(customers=customers, projects=(moved,)), mappings=policy_free)
    assert problem.reason is Reason.UNMAPPED_CUSTOMER
    assert "Project ZO7 belongs to customer 31" in problem.text


def test_a_ticket_that_went_to_a_new_customer_does_not_stay_with_the_old_one():
    project = replace(ACME_PROJECT, number="ZT50")
    policy = with_strategy(ProjectStrategy.PER_TICKET)
    problem = problem_of(
        entry(organization_id="8", organization_name="Bolt"), target_directory(projects=(project,)), policy=policy
    )
    assert problem.reason is Reason.UNMAPPED_CUSTOMER


@pytest.mark.parametrize(
    ("strategy", "number", "name"),
    [
        (ProjectStrategy.PER_CUSTOMER, "ZO7", "Acme"),
        (ProjectStrategy.PER_TICKET, "ZT50", "#50 Printer on fire"),
        (ProjectStrategy.PER_GROUP, "G2O7", "Acme Support"),
    ],
)
def test_each_strategy_has_its_project(strategy: ProjectStrategy, number: str, name: str):
    plan = project_of(entry(), target_directory(projects=()), policy=with_strategy(strategy))
    assert (plan.number, plan.name, plan.customer.id) == (number, name, ACME.id)


@pytest.mark.parametrize("fixed", ["ZO7", "40"])
def test_a_fixed_project_is_found_by_number_or_id(fixed: str):
    policy = with_strategy(ProjectStrategy.FIXED, fixed_project=fixed)
    plan = project_of(entry(organization_id=None, ticket_known=False), target_directory(), policy=policy)
    assert (plan.id, plan.customer.id) == (ACME_PROJECT.id, ACME.id)


@pytest.mark.parametrize("fixed", ["", "ZO8", "41", "\u00b2"])
def test_a_fixed_project_that_is_unknown_is_named(fixed: str):
    problem = problem_of(entry(), policy=with_strategy(ProjectStrategy.FIXED, fixed_project=fixed))
    assert problem.text == f"ZK_FIXED_PROJECT={fixed!r} is not a project number or id in Kimai."


def test_a_booking_of_an_unreadable_ticket_waits():
    assert problem_of(entry(ticket_known=False)).reason is Reason.UNKNOWN_TICKET


def test_a_project_number_that_cannot_be_made_short_enough_is_a_problem():
    policy = with_strategy(ProjectStrategy.PER_GROUP)
    problem = problem_of(entry(group_id=123_456_789), target_directory(projects=()), policy=policy)
    assert "choose another ZK_PROJECT_STRATEGY" in problem.text


OBSTACLES: list[tuple[dict[str, Any], str]] = [
    ({"users": (replace(ANNA, enabled=False),)}, "Kimai user anna is disabled"),
    ({"activities": (replace(SUPPORT, visible=False),)}, "Activity Support is hidden"),
    ({"projects": (replace(ACME_PROJECT, visible=False),)}, "Project Acme is hidden"),
    ({"customers": (replace(ACME, visible=False),)}, "Customer Acme is hidden"),
    ({"customers": (replace(ACME, visible=False),), "projects": ()}, "Customer Acme is hidden"),
    ({"projects": (replace(ACME_PROJECT, end=DAY - timedelta(days=1)),)}, "Project Acme ended on 2025-08-15"),
    ({"projects": (replace(ACME_PROJECT, start=DAY + timedelta(days=1)),)}, "Project Acme begins on 2025-08-17"),
    ({"activities": (replace(SUPPORT, project_id=41),)}, "Activity Support belongs to another project"),
    ({"activities": (replace(SUPPORT, project_id=41),), "projects": ()}, "Activity Support belongs to another project"),
    ({"projects": (replace(ACME_PROJECT, global_activities=False),)}, "Project Acme allows no global activities"),
]


@pytest.mark.parametrize(("change", "text"), OBSTACLES)
def test_what_kimai_would_refuse_is_said_with_a_remedy(change: dict[str, Any], text: str):
    found = resolver(target_directory(**change))
    assignment = found.resolve(entry())
    assert isinstance(assignment, Assignment)
    [obstacle] = found.obstacles(assignment, DAY, DAY)
    assert obstacle.text.startswith(text)
    assert ":" in obstacle.text


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (DAY, DAY), (DAY - timedelta(days=9), DAY + timedelta(days=9))]
)
def test_a_running_project_with_its_own_activity_is_no_obstacle(start: date | None, end: date | None):
    project = replace(ACME_PROJECT, start=start, end=end, global_activities=False)
    directory = target_directory(projects=(project,), activities=(replace(SUPPORT, project_id=project.id),))
    assignment = resolver(directory).resolve(entry())
    assert isinstance(assignment, Assignment)
    assert resolver(directory).obstacles(assignment, DAY, DAY) == ()


@pytest.mark.parametrize(("until", "locked"), [(DAY, True), (DAY - timedelta(days=1), False), (None, False)])
def test_a_project_that_is_locked_in_kimai_stands_in_the_way_of_its_days(until: date | None, locked: bool):
    directory = target_directory(projects=(replace(ACME_PROJECT, locked_until=until),))
    assignment = resolver(directory).resolve(entry())
    assert isinstance(assignment, Assignment)
    found = resolver(directory).obstacles(assignment, DAY + timedelta(days=9), DAY)
    told = " ".join(obstacle.text for obstacle in found)
    assert ("is locked until" in told, "adjust the booking" in told) == (locked, locked)
