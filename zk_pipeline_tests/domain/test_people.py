"""Which Kimai user an agent is: by mapping, by an address that is one person's alone, or as until now."""

from dataclasses import replace

import pytest

from zk_pipeline.domain.people import UserMatcher, Way
from zk_pipeline.domain.records import Agent, TargetUser

CORA = Agent("5", "cora", "helpdesk@ex.de", "Cora", active=True)
CARL = Agent("6", "carl", "helpdesk@ex.de", "Carl", active=True)
K_CORA = TargetUser(3, "cora", "helpdesk@ex.de", "Cora", enabled=True, timezone="UTC")
K_CARL = TargetUser(4, "carl", "carl@ex.de", "Carl", enabled=True, timezone="UTC")
USERS = (K_CORA, K_CARL)


@pytest.mark.parametrize("agent", [CORA, CARL])
def test_an_address_of_two_active_agents_is_nobodys_and_both_are_named(agent: Agent):
    assert UserMatcher(USERS, (CARL, CORA)).user(agent.id) == (
        "helpdesk@ex.de is the address of several agents in Zammad: Cora (id 5), Carl (id 6)."
    )


def test_an_address_is_that_of_the_one_who_is_active():
    people = UserMatcher(USERS, (replace(CORA, email="HELPDESK@ex.de"), replace(CARL, active=False)))
    assert people.user("5") == K_CORA
    assert (
        people.user("6")
        == "helpdesk@ex.de is the address of several agents in Zammad: Cora (id 5), Carl (id 6, inactive)."
    )


def test_who_left_keeps_an_address_that_nobody_else_has():
    assert UserMatcher(USERS, (replace(CORA, active=False),)).user("5") == K_CORA


def test_an_address_of_two_users_is_nobodys_and_both_are_named():
    twin = replace(K_CARL, email="Helpdesk@ex.de", enabled=False)
    assert UserMatcher((K_CORA, twin), (CORA,)).user("5") == (
        "helpdesk@ex.de is the address of several Kimai users: cora (id 3), carl (id 4, disabled)."
    )


def test_a_user_name_is_not_taken_from_whose_address_the_user_has():
    user = replace(K_CORA, username="carl@ex.de")
    people = UserMatcher((user,), (CORA, replace(CARL, email="carl@ex.de")))
    assert people.user("5") == user
    assert people.user("6") == ("Kimai user carl@ex.de (id 3) has the address of Cora (id 5) and that of Carl (id 6).")


def test_an_agent_without_address_or_who_is_gone_is_found_by_the_mapping_of_the_id():
    people = UserMatcher(USERS, (replace(CARL, email=""),), mapped={"6": 4, "1": 3})
    assert (people.user("6"), people.user("1", "", "-")) == (K_CARL, K_CORA)
    assert UserMatcher(USERS, (replace(CARL, email=""),)).user("6") == "Carl (id 6) has no e-mail address in Zammad."


def test_a_mapping_follows_a_new_address():
    assert UserMatcher(USERS, (replace(CARL, email="new@ex.de"),), mapped={"6": 4}).user("6") == K_CARL


def test_a_mapping_of_an_address_holds_for_one_agent_alone():
    mapped = {"helpdesk@ex.de": 4}
    assert UserMatcher(USERS, (CORA,), mapped=mapped).user("5") == K_CARL
    assert isinstance(UserMatcher(USERS, (CORA, CARL), mapped=mapped).user("5"), str)


def test_a_new_address_that_nobody_has_changes_nothing():
    renamed = (replace(CORA, email="cora.new@ex.de"),)
    assert UserMatcher(USERS, renamed, carried={"5": 3}).user("5") == K_CORA
    assert UserMatcher(USERS, renamed).user("5") == (
        "No Kimai user has the e-mail address or user name cora.new@ex.de of Cora (id 5)."
    )


def test_an_old_address_does_not_give_its_new_owner_the_user_of_another():
    people = UserMatcher(USERS, (replace(CORA, email="cora.new@ex.de"), CARL), carried={"5": 3})
    assert people.user("5") == K_CORA
    assert people.user("6") == "Kimai user cora (id 3) has the address of Carl (id 6), but got the time of Cora (id 5)."


def test_whom_an_address_gives_another_user_moves_there():
    people = UserMatcher(USERS, (replace(CORA, email="carl@ex.de"), CARL), carried={"5": 3})
    assert (people.user("5"), people.user("6")) == (K_CARL, K_CORA)


def test_the_agents_of_a_user_are_those_by_address_and_by_mapping():
    people = UserMatcher(USERS, (CORA, replace(CARL, email="")), mapped={"6": 3, "99": 3})
    assert [agent.id for agent in people.others(3, "7")] == ["5", "6", "99"]
    assert [agent.id for agent in people.others(3, "5")] == ["6", "99"]


@pytest.mark.parametrize(
    ("agent", "way"),
    [
        (CORA, Way.ADDRESS),
        (replace(CORA, email="CARL"), Way.USERNAME),
        (replace(CORA, email=""), Way.NO_ADDRESS),
        (replace(CORA, email="nobody@ex.de"), Way.UNKNOWN_ADDRESS),
    ],
)
def test_it_is_told_how_a_user_is_known_and_whether_that_is_sure(agent: Agent, way: Way):
    found = UserMatcher(USERS, (agent,)).found("5")
    assert (found.way, found.way.found, found.way.sure) == (way, isinstance(found.user, TargetUser), way is Way.ADDRESS)


def test_it_is_told_why_no_user_is_known():
    assert UserMatcher(USERS, (CORA, CARL)).found("5").way is Way.SEVERAL_AGENTS
    assert UserMatcher(USERS, (CORA,), {"5": 99}).found("5").way is Way.GONE
    assert UserMatcher(USERS, (CORA,), {"5": 4}).found("5").way is Way.HAND
    moved = replace(CORA, email="new@ex.de")
    assert UserMatcher(USERS, (moved,), carried={"5": 3}).found("5").way is Way.BEFORE
    assert UserMatcher(USERS, (moved, replace(CARL, id="7")), carried={"5": 3}).found("7").way is Way.DISPUTED
