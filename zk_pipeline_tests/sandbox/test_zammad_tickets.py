"""Tickets, search and articles of the simulated Zammad (docs/zammad.md §5, §6)."""

from datetime import timedelta

import pytest

from zk_pipeline_tests.sandbox.conftest import NOON

SEARCH = "/tickets/search"


@pytest.fixture
def agent(zammad):
    return zammad.add_agent("anna@example.net", firstname="Anna", lastname="Berg")


@pytest.fixture
def tickets(zammad):
    """Five tickets, the last changed last."""
    return [zammad.add_ticket(f"Case {n}", at=NOON - timedelta(days=5 - n)) for n in range(5)]


def condition(attribute, operator, value):
    return {"condition": {attribute: {"operator": operator, "value": value}}}


def found(api, **body):
    answer = api.post(SEARCH, json={"expand": True, **body})
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


def test_the_list_is_by_id_with_a_hundred_at_most(zammad, api):
    ids = [zammad.add_ticket("Case") for _ in range(103)]
    assert api.ids("/tickets", per_page=500) == ids[:100]
    assert api.ids("/tickets", page=2) == ids[100:]


def test_a_search_finds_tickets_by_id_on_every_version(zammad, api, tickets):
    wanted = condition("ticket.id", "is", [str(tickets[3]), str(tickets[1]), "404"])
    for version in ("6.2.0", "6.4.1", "6.5.0", "7.0.0"):
        zammad.configure({"version": version})
        assert found(api, **wanted) == [tickets[3], tickets[1]]


def test_a_search_by_ids_is_known_from_6_5_and_ignored_before(zammad, api, tickets):
    assert found(api, ids=tickets[:2]) == [tickets[1], tickets[0]]
    zammad.configure({"version": "6.4.1"})
    assert found(api, ids=tickets[:2]) == tickets[::-1]


def test_a_search_by_change_is_exact(api, tickets):
    border = (NOON - timedelta(days=2)).isoformat()
    assert found(api, **condition("ticket.updated_at", "after (absolute)", border)) == [tickets[4]]
    assert found(api, **condition("ticket.updated_at", "before (absolute)", border)) == tickets[2::-1]


def test_a_search_page_holds_50_by_default_and_200_at_most(zammad, api):
    ids = [zammad.add_ticket("Case") for _ in range(205)]
    assert len(found(api)) == 50
    by_id = {"sort_by": "id", "order_by": "asc", "per_page": 1000}
    assert found(api, **by_id) == ids[:200]
    assert found(api, page=2, **by_id) == ids[200:]


def test_a_text_is_looked_for_as_it_stands_and_field_syntax_finds_nothing(zammad, api, agent, tickets):
    zammad.add_article(tickets[2], agent, "Replaced the Toner")
    assert api.ids(SEARCH, query="toner") == [tickets[2]]
    assert api.ids(SEARCH, query="case 4") == [tickets[4]]
    assert api.ids(SEARCH, query=f"id:{tickets[4]}") == []


def test_a_broken_search_engine_finds_nothing_by_text_and_everything_by_condition(zammad, api, tickets):
    zammad.configure({"search_backend": "elasticsearch_down"})
    assert api.rows(SEARCH, query="Case") == []
    assert found(api, **condition("ticket.id", "is", [tickets[0]])) == tickets[:1]


@pytest.mark.parametrize(
    "wrong",
    [condition("ticket.time_unit", ">", 0), condition("user.id", "is", 1), condition("ticket.id", "near", 1)],
)
def test_a_condition_that_zammad_does_not_know_is_refused(api, tickets, wrong):
    assert api.post(SEARCH, json=wrong).status_code == 422


def test_the_plain_answer_is_an_object_up_to_6_4_and_a_list_from_6_5(zammad, api, agent, tickets):
    entry = zammad.book(tickets[0], agent, 5, at=NOON)
    assert api.rows(SEARCH)[0]["ticket_time_accounting_ids"] == [entry]
    zammad.configure({"version": "6.4.1"})
    old = api.rows(SEARCH, per_page=2)
    assert (old["tickets"], old["tickets_count"]) == ([tickets[0], tickets[4]], 2)
    assert old["assets"]["Ticket"][str(tickets[0])]["title"] == "Case 0"


def test_counting_alone_gives_the_number_of_all_hits(api, tickets):
    assert api.rows(SEARCH, only_total_count="true", per_page=1) == {"total_count": 5}


def test_expanded_tickets_carry_names_and_entry_ids(zammad, api, agent):
    organization = zammad.add_organization("Müller GmbH")
    customer = zammad.add_user("kunde@example.com", organization_id=organization)
    ticket = zammad.add_ticket("Drucker", customer_id=customer, organization_id=organization, owner_id=agent)
    bare = zammad.add_ticket("Nothing booked")
    entry = zammad.book(ticket, agent, "1.5", article="Toner gewechselt")
    row = api.rows(f"/tickets/{ticket}", expand="true")
    assert (row["organization"], row["customer"]) == ("Müller GmbH", "kunde@example.com")
    assert (row["owner"], row["group"], row["state"]) == ("anna@example.net", "Users", "open")
    assert (row["ticket_time_accounting_ids"], row["time_unit"]) == ([entry], "1.5")
    assert "ticket_time_accounting" not in row
    empty = api.rows(f"/tickets/{bare}", expand="true")
    assert (empty["ticket_time_accounting"], empty["time_unit"], empty["organization"]) == ([], None, None)


def test_a_ticket_shown_with_all_lists_its_entries_in_five_fields(zammad, api, agent, tickets):
    entry = zammad.book(tickets[0], agent, 5)
    rows = api.rows(f"/tickets/{tickets[0]}", all="true")["time_accountings"]
    assert rows == [
        {
            "id": entry,
            "ticket_id": tickets[0],
            "ticket_article_id": None,
            "time_unit": "5.0",
            "type_id": None,
        }
    ]


def test_tickets_of_a_group_made_later_vanish_from_lists_without_an_error(zammad, api, agent, tickets):
    group = zammad.add_group("Projects")
    hidden = zammad.add_ticket("Hidden", group_id=group)
    zammad.book(hidden, agent, 5)
    assert hidden not in api.ids("/tickets")
    assert found(api, **condition("ticket.id", "is", [hidden, tickets[0]])) == [tickets[0]]
    assert api.get(f"/tickets/{hidden}").status_code == 403
    assert len(api.rows("/time_accountings")) == 1


def test_a_customer_sees_their_own_tickets_only(zammad, api, tickets):
    customer = zammad.add_user("kunde@example.com", permissions=["ticket.customer"])
    zammad.add_token(customer, "kunde", permissions=["ticket.customer"])
    own = zammad.add_ticket("Mine", customer_id=customer)
    assert api.as_token("kunde").ids("/tickets") == [own]


def test_an_article_shows_the_time_booked_with_it(zammad, api, agent, tickets):
    zammad.add_article(tickets[0], agent, "Question")
    zammad.book(tickets[0], agent, 15, article="<b>Answer</b>")
    question, answer = api.rows(f"/ticket_articles/by_ticket/{tickets[0]}")
    assert (question["time_unit"], answer["time_unit"], answer["body"]) == (None, "15.0", "<b>Answer</b>")
    assert (answer["from"], answer["created_by"]) == ("Anna Berg", "anna@example.net")
    assert api.rows(f"/ticket_articles/{answer['id']}") == answer


def test_missing_tickets_and_articles_are_not_found(api):
    for path in ("/tickets/404", "/ticket_articles/404", "/ticket_articles/by_ticket/404"):
        assert api.get(path).status_code == 404


def test_tickets_need_the_agents_permission(zammad, api):
    boss = zammad.add_user("boss@example.net", permissions=["admin.time_accounting"])
    zammad.add_token(boss, "boss", permissions=["admin.time_accounting"])
    assert api.as_token("boss").get("/tickets").status_code == 403
    assert api.as_token("boss").post(SEARCH, json={}).json()["error"] == "Token authorization failed."
