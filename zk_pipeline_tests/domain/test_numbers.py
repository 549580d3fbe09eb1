"""Numbers of customers and projects: no two sources and no two ids share one, and those of before stay for good."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.numbers import (
    FIRST_SPACE,
    LONGEST_SPACE,
    PROJECT_NUMBER_LENGTH,
    choose_space,
    customer_number,
    customer_pattern,
    group_project,
    organization_project,
    ticket_project,
)

CUSTOMER_NUMBER_LENGTH = 50
WHOLE = st.integers(1, 10**9).map(str)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
LIKE_OURS = st.sampled_from(["7", "07", "x37", "y37", "org-7", "project-7", "Project-7", "a-org-7", "-org-7", "O7"])
IDS = WHOLE | TEXTS | LIKE_OURS
SPACES = st.sampled_from([FIRST_SPACE, "jira", "jira-org", "jira-org-7", "a", "s" * LONGEST_SPACE])
PLACES = st.tuples(SPACES, IDS)


@pytest.mark.parametrize(
    ("space", "organization", "number"),
    [
        ("zammad", "7", "zammad-org-7"),
        ("zammad", "0", "zammad-org-0"),
        ("jira", "7", "jira-org-7"),
        ("jira", "project-10000", "jira-org-project-10000"),
        ("desk", "B-1", "desk-org-x422d31"),
        ("desk", "557058:0a1b-22", "desk-org-y78eb538e167218adda9d"),
    ],
)
def test_a_number_of_a_customer_tells_source_and_organization(space: str, organization: str, number: str):
    assert customer_number(space, organization) == number


@given(PLACES, PLACES)
def test_two_organizations_never_share_a_number_of_a_customer(one: tuple[str, str], other: tuple[str, str]):
    # The target compares without regard to letter case.
    numbers = [customer_number(*place).casefold() for place in (one, other)]
    assert (numbers[0] == numbers[1]) == (one == other)


@given(PLACES)
def test_a_number_of_a_customer_is_one_that_the_target_takes(place: tuple[str, str]):
    number = customer_number(*place)
    assert len(number) <= CUSTOMER_NUMBER_LENGTH
    assert re.fullmatch(r"[a-z0-9-]+", number)


@given(PLACES, SPACES)
def test_a_number_of_a_customer_is_read_by_its_own_source_alone(place: tuple[str, str], reader: str):
    assert bool(re.search(customer_pattern("other", reader), customer_number(*place))) == (reader == place[0])


@pytest.mark.parametrize(
    "number", ["", "7", "K-7", "zammad-org-", "zammad-org-07", "zammad-org-A", "zammad-org-7 ", "zammad-org-x7"]
)
def test_a_number_that_people_gave_is_not_read(number: str):
    assert not re.search(customer_pattern("zammad"), number)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (organization_project(FIRST_SPACE, "7"), "ZO7"),
        (ticket_project(FIRST_SPACE, "12345678"), "ZT12345678"),
        (ticket_project(FIRST_SPACE, "123456789"), "ZTX21I3V9"),
        (group_project(FIRST_SPACE, "12", "3"), "G12O3"),
        (organization_project("jira", "7"), "O7-jira"),
        (ticket_project("jira", "1002"), "T1002-jira"),
        (group_project("jira", "2", "7"), "G2O7-jira"),
    ],
)
def test_a_number_of_a_project_is_readable_until_it_has_to_be_short(number: str, expected: str):
    assert number == expected


def projects(space: str, one: str, other: str) -> dict[tuple[str, ...], str]:
    """The numbers of all kinds of projects of two ids. Of the first space, groups have whole numbers."""
    found = {
        ("O", space, one): organization_project(space, one),
        ("T", space, one): ticket_project(space, one),
    }
    if space != FIRST_SPACE:
        found["G", space, one, other] = group_project(space, one, other)
    return found


@given(st.lists(st.tuples(SPACES, IDS, IDS), min_size=2, max_size=6))
def test_no_two_projects_share_a_number(places: list[tuple[str, str, str]]):
    found: dict[tuple[str, ...], str] = {}
    for place in places:
        found |= projects(*place)
    assert len({number.casefold() for number in found.values()}) == len(found)
    assert all(len(number) <= PROJECT_NUMBER_LENGTH for number in found.values())


@given(st.tuples(WHOLE, WHOLE), st.tuples(WHOLE, WHOLE))
def test_two_pairs_of_group_and_organization_never_share_a_number(one: tuple[str, str], other: tuple[str, str]):
    assert (group_project(FIRST_SPACE, *one) == group_project(FIRST_SPACE, *other)) == (one == other)


@pytest.mark.parametrize(
    ("kind", "name", "taken", "space"),
    [
        ("zammad", "zammad", (), "zammad"),
        ("zammad", "helpdesk", (), "zammad"),
        ("zammad", "helpdesk", ("zammad",), "helpdesk"),
        ("zammad", "zammad", ("zammad",), "zammad-2"),
        ("jira", "jira", ("zammad",), "jira"),
        ("jira", "jira", ("jira",), "jira-2"),
        ("jira", "zammad", (), "zammad-2"),
        ("jira", "j" * 60, (), "j" * 24),
        ("jira", "j" * 60, ("j" * 24, "j" * 20 + "-2"), "j" * 20 + "-3"),
    ],
)
def test_a_source_has_a_space_of_its_own(kind: str, name: str, taken: tuple[str, ...], space: str):
    assert choose_space(kind, name, taken) == space
