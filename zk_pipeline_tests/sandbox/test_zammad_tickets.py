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
    ("wrong", "status"),
    [
        (condition("ticket.colour", "is", 1), 422),
        (condition("ticket.id", "is", ["abc"]), 422),
        (condition("ticket.id", "is", ["9" * 20]), 422),
        (condition("user.id", "is", 1), 500),
        (condition("ticket", "is", 1), 500),
        (condition("ticket.id", "near", 1), 500),
        ({"condition": "ticket.id"}, 500),
    ],
)
def test_a_condition_that_zammad_does_not_know_is_a_fault(api, tickets, wrong, status):
    answer = api.post(SEARCH, json=wrong)
    assert (answer.status_code, answer.json().keys()) == (status, {"error"})


def test_an_empty_list_of_ids_finds_every_ticket(api, tickets):
    assert len(found(api, **condition("ticket.id", "is", []))) == len(tickets)


def test_a_ticket_is_found_by_the_text_of_a_note(zammad, api, agent, tickets):
    zammad.add_article(tickets[2], agent, "Time sheet 4711 [zk-kimai-4711]")
    assert found(api, **condition("article.body", "contains", "[zk-kimai-4711]")) == [tickets[2]]


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
    assert (empty["ticket_time_accounting"], empty["articles"], empty["time_unit"]) == ([], [], None)
    assert "organization" not in empty


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


def test_lists_and_searches_ask_the_owner_alone_and_a_ticket_asks_the_token_too(zammad, api, tickets):
    agent = zammad.add_agent("eve@example.net")
    zammad.add_token(agent, "narrow", permissions=[])
    assert api.as_token("narrow").ids("/tickets") == tickets
    assert len(found(api.as_token("narrow"))) == len(tickets)
    assert api.as_token("narrow").get(f"/tickets/{tickets[0]}").status_code == 403
    boss = zammad.add_user("boss@example.net", permissions=["admin.time_accounting"])
    zammad.add_token(boss, "boss", permissions=["admin.time_accounting"])
    assert (api.as_token("boss").ids("/tickets"), found(api.as_token("boss"))) == ([], [])


@pytest.fixture
def anna(zammad, api, agent):
    zammad.add_token(agent, "anna", permissions=["ticket.agent"])
    return api.as_token("anna")


NOTE = {"body": "Time sheet 4711", "type": "note", "internal": True}


def test_a_note_with_time_is_written_in_one_request_and_leaves_a_closed_ticket_closed(zammad, anna, api, tickets):
    kind = zammad.add_type("Support")
    zammad.reassign(tickets[0], state_id=4)
    time = {"ticket_id": tickets[0], "time_unit": "25", "accounted_time_type_id": kind}
    note = anna.post("/ticket_articles", json=NOTE | time)
    assert (note.status_code, note.json()["time_unit"], note.json()["internal"]) == (201, "25.0", True)
    (row,) = api.rows(f"/tickets/{tickets[0]}/time_accountings")
    assert (row["ticket_article_id"], row["type_id"], row["time_unit"]) == (note.json()["id"], kind, "25.0")
    assert api.rows(f"/tickets/{tickets[0]}")["state_id"] == 4


@pytest.mark.parametrize("time", [{"time_unit": "99999999"}, {"time_unit": "5", "accounted_time_type_id": 9999}])
def test_a_note_whose_time_is_refused_stays_without_it(anna, api, tickets, time):
    assert anna.post("/ticket_articles", json=NOTE | time | {"ticket_id": tickets[0]}).status_code == 422
    (note,) = api.rows(f"/ticket_articles/by_ticket/{tickets[0]}")
    assert (note["body"], note["time_unit"]) == (NOTE["body"], None)


def test_a_note_is_deleted_by_its_author_alone_and_takes_its_time_along(zammad, anna, api, tickets):
    note = anna.post("/ticket_articles", json=NOTE | {"ticket_id": tickets[0], "time_unit": "5"}).json()["id"]
    refused = api.delete(f"/ticket_articles/{note}")
    assert (refused.status_code, refused.json()["error"]) == (
        403,
        "Not authorized (you can only delete your own notes)!",
    )
    assert anna.delete(f"/ticket_articles/{note}").json() == {}
    assert api.rows("/time_accountings") == []


def test_a_tag_needs_the_right_to_change_the_ticket_and_moves_its_change(zammad, anna, api, tickets):
    body = {"object": "Ticket", "o_id": tickets[0], "item": "billed:2025-08"}
    assert api.post("/tags/add", json=body).status_code == 403
    zammad.configure({"now": (NOON + timedelta(hours=1)).isoformat()})
    assert [anna.post("/tags/add", json=body).status_code for _ in range(2)] == [201, 201]
    assert anna.rows("/tags", object="Ticket", o_id=tickets[0]) == {"tags": ["billed:2025-08"]}
    assert api.rows(f"/tickets/{tickets[0]}")["updated_at"] == "2025-08-16T13:00:00.000Z"
    assert anna.request("DELETE", "/tags/remove", json=body).json() is True
    zammad.configure({"tag_new": False})
    assert anna.post("/tags/add", json=body).status_code == 201
    assert anna.post("/tags/add", json=body | {"item": "new"}).status_code == 403


def test_a_ticket_follows_its_customer_to_their_organization(zammad, anna, tickets):
    place = zammad.add_organization("Müller GmbH")
    customer = zammad.add_user("kunde@example.com", organization_id=place)
    row = anna.put(f"/tickets/{tickets[0]}", json={"customer_id": customer}).json()
    assert (row["customer_id"], row["organization_id"]) == (customer, place)
