"""Users, organizations, types, settings and monthly reports of the simulated Zammad (docs/zammad.md §3, §4, §6)."""

from datetime import UTC, datetime

import pytest

ACTIVITY = "/time_accounting/log/by_activity"


@pytest.fixture
def agent(zammad):
    return zammad.add_agent("anna@example.net", firstname="Anna", lastname="Berg")


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_users_come_by_a_hundred_in_pages_by_id(zammad, api):
    for n in range(120):
        zammad.add_user(f"user{n}@example.com")
    first, second = api.ids("/users"), api.ids("/users", page=2)
    assert (len(first), len(second)) == (100, 22)
    assert first + second == sorted(first + second)
    assert api.rows("/users")[0]["login"] == "-"


def test_a_caller_without_rights_on_people_sees_only_themselves(zammad, api):
    organization = zammad.add_organization("Own")
    zammad.add_organization("Other")
    boss = zammad.add_user("boss@example.net", permissions=["admin.time_accounting"], organization_id=organization)
    zammad.add_token(boss, "boss", permissions=["admin.time_accounting"])
    assert api.as_token("boss").ids("/users") == [boss]
    assert api.as_token("boss").ids("/organizations") == [organization]
    assert api.as_token("boss").rows(f"/users/{boss - 1}")["id"] == boss - 1


def test_no_user_row_carries_a_password(api):
    assert all("password" not in row for row in api.rows("/users"))


def test_organizations_list_their_members_and_may_share_a_name(zammad, api):
    twins = [zammad.add_organization("Meyer KG") for _ in range(2)]
    member = zammad.add_user("m@example.com", organization_id=twins[1])
    rows = api.rows("/organizations")
    assert [(row["id"], row["name"], row["member_ids"]) for row in rows] == [
        (twins[0], "Meyer KG", []),
        (twins[1], "Meyer KG", [member]),
    ]
    assert api.ids("/organizations", sort_by="id", order_by="desc", per_page=1) == [twins[1]]


def test_types_stay_listed_when_inactive_and_their_names_are_unique_in_any_case(zammad, api):
    kind = zammad.add_type("Support")
    assert api.put(f"/time_accounting/types/{kind}", json={"active": False}).json()["active"] is False
    assert api.ids("/time_accounting/types") == [kind]
    assert api.post("/time_accounting/types", json={"name": "SUPPORT"}).status_code == 422
    assert api.post("/time_accounting/types", json={"name": "Travel"}).status_code == 201
    assert api.get(f"/time_accounting/types/{kind}").status_code == 404


def test_an_agent_cannot_list_types(zammad, api, agent):
    zammad.add_token(agent, "anna", permissions=["ticket.agent"])
    assert api.as_token("anna").get("/time_accounting/types").status_code == 403


def test_the_accounting_admin_sees_the_six_accounting_settings_but_not_the_zone(zammad, api):
    zammad.configure({"unit": "custom", "unit_custom": "Einheiten"})
    values = {row["name"]: row["state_current"]["value"] for row in api.rows("/settings")}
    assert {name: value for name, value in values.items() if name.startswith("time_accounting")} == {
        "time_accounting": True,
        "time_accounting_selector": {},
        "time_accounting_unit": "custom",
        "time_accounting_unit_custom": "Einheiten",
        "time_accounting_types": True,
        "time_accounting_type_default": "",
    }
    assert "timezone_default" not in values


def test_settings_need_some_admin_permission(zammad, api, agent):
    zammad.add_token(agent, "anna", permissions=["ticket.agent"])
    assert api.as_token("anna").get("/settings").status_code == 403


def test_the_activity_report_shows_one_row_per_entry_with_names_as_they_are_now(zammad, api, agent):
    organization = zammad.add_organization("Müller GmbH")
    customer = zammad.add_user("k@example.com", firstname="Karl", lastname="Kunde")
    ticket = zammad.add_ticket("Drucker", customer_id=customer, organization_id=organization)
    bare = zammad.add_ticket("Intern")
    zammad.book(ticket, agent, "12.5", zammad.add_type("Support"), utc(2025, 8, 16, 8))
    zammad.book(bare, agent, 5, None, utc(2025, 8, 17, 8))
    typed, plain = api.rows(f"{ACTIVITY}/2025/8")
    assert typed["ticket"]["id"] == ticket
    del typed["ticket"]
    assert typed == {
        "time_unit": "12.5",
        "type": "Support",
        "customer": "Karl Kunde",
        "organization": "Müller GmbH",
        "agent": "Anna Berg",
        "created_at": "2025-08-16T08:00:00.000Z",
    }
    assert (plain["type"], plain["customer"], plain["organization"]) == ("-", "-", "-")
    assert [row["time_unit"] for row in api.rows(f"{ACTIVITY}/2025/8", limit=1)] == ["5.0"]


def test_the_activity_report_has_no_type_while_types_are_off(zammad, api, agent):
    zammad.book(zammad.add_ticket("Case"), agent, 5, zammad.add_type("Support"), utc(2025, 8, 16))
    zammad.configure({"types": False})
    assert "type" not in api.rows(f"{ACTIVITY}/2025/8")[0]


@pytest.mark.parametrize(("version", "months"), [("6.4.1", [1, 0]), ("6.5.0", [0, 1])])
def test_the_months_border_is_utc_up_to_6_4_and_the_systems_zone_from_6_5(zammad, api, agent, version, months):
    zammad.configure({"version": version, "zone": "Europe/Berlin"})
    zammad.book(zammad.add_ticket("Late"), agent, 5, None, utc(2025, 8, 31, 22, 30))
    assert [len(api.rows(f"{ACTIVITY}/2025/{month}")) for month in (8, 9)] == months


def test_december_ends_with_the_year_and_an_impossible_month_is_a_fault(zammad, api, agent):
    zammad.book(zammad.add_ticket("Late"), agent, 5, None, utc(2025, 12, 31, 23, 59))
    assert len(api.rows(f"{ACTIVITY}/2025/12")) == 1
    assert api.get(f"{ACTIVITY}/2025/13").status_code == 422


def test_a_year_that_is_no_number_is_the_present_month(zammad, api, agent):
    for month in (7, 8):
        zammad.book(zammad.add_ticket("Case"), agent, month, None, utc(2025, month, 3))
    assert [row["time_unit"] for row in api.rows(f"{ACTIVITY}/abc/7")] == ["8.0"]


def test_sums_are_by_ticket_and_by_organization(zammad, api, agent):
    place = zammad.add_organization("Müller GmbH")
    first, other = zammad.add_ticket("Case", organization_id=place), zammad.add_ticket("Nobody's")
    for ticket, units in ((first, "1.5"), (other, 4), (first, "-0.5")):
        zammad.book(ticket, agent, units, None, utc(2025, 8, 16))
    rows = api.rows("/time_accounting/log/by_ticket/2025/8")
    assert [(row["ticket"]["id"], row["time_unit"], row["organization"]) for row in rows] == [
        (first, "1.0", "Müller GmbH"),
        (other, "4.0", "-"),
    ]
    (row,) = api.rows("/time_accounting/log/by_organization/2025/8")
    assert (row["organization"]["name"], row["time_unit"]) == ("Müller GmbH", "1.0")


def test_groups_list_those_whose_tickets_the_caller_cannot_read_too(zammad, api):
    zammad.add_group("Projects")
    assert [row["name"] for row in api.rows("/groups")] == ["Users", "Projects"]
    assert api.rows("/groups/2")["user_ids"] == []


def test_tokens_are_listed_without_their_texts_for_those_who_may_make_some(zammad, api):
    assert api.get("/user_access_token").status_code == 403
    permissions = ["user_preferences.access_token"]
    owner = zammad.add_user("anna@example.net", permissions=permissions)
    zammad.add_token(owner, "hers", permissions=permissions)
    answer = api.as_token("hers").get("/user_access_token")
    (row,) = answer.json()["tokens"]
    assert row["preferences"] == {"permission": permissions}
    assert "hers" not in answer.text


def test_the_customer_report_hands_out_the_raw_user_record(zammad, api, agent):
    customer = zammad.add_user("k@example.com")
    ticket = zammad.add_ticket("Case", customer_id=customer)
    for units in ("1.5", "-0.5"):
        zammad.book(ticket, agent, units, None, utc(2025, 8, 16))
    row = api.rows("/time_accounting/log/by_customer/2025/8")[0]
    assert row["customer"]["password"].startswith("$argon2id$")
    assert (row["organization"], row["time_unit"]) == (None, "1.0")
