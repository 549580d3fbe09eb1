"""Writing time entries to the simulated Kimai: zones, rounding, tags, forms by permission, rules."""

from datetime import date
from typing import Any

import pytest

from zk_pipeline_tests.sandbox.kimai_world import World


@pytest.fixture
def world() -> World:
    return World()


def _children(answer: Any) -> list[str]:
    return list(answer.json()["errors"]["children"])


def _globals(answer: Any) -> list[str]:
    return answer.json()["errors"].get("errors", [])


def test_post_reads_times_in_the_callers_zone_and_a_later_get_shows_the_owners(world: World) -> None:
    created = world.post(begin="2026-03-09T09:00:00", end="2026-03-09T10:00:00", user=world.anna).json()
    assert created["begin"] == "2026-03-09T09:00:00-0400"
    assert world.get(f"/api/timesheets/{created['id']}").json()["begin"] == "2026-03-09T14:00:00+0100"


def test_patch_reads_the_same_text_in_the_owners_zone(world: World) -> None:
    entry = world.entry(world.anna, "2026-03-09T08:00:00", "2026-03-09T09:00:00")
    patched = world.patch(entry, begin="2026-03-09T09:30:00").json()
    assert patched["begin"] == "2026-03-09T09:30:00+0100"


def test_with_an_offset_post_and_patch_mean_the_same_instant(world: World) -> None:
    times = {"begin": "2026-03-09T09:00:00Z", "end": "2026-03-09T10:00:00Z"}
    created = world.post(user=world.anna, **times).json()
    patched = world.patch(created["id"], **times).json()
    assert (created["begin"], patched["begin"]) == ("2026-03-09T05:00:00-0400", "2026-03-09T10:00:00+0100")


@pytest.mark.parametrize(("end", "stored"), [("10:00:00", "14:00:00+0100"), ("09:59:30", "09:00:00-0400")])
def test_the_owners_zone_is_stored_but_the_callers_where_rounding_moved_the_end(
    world: World, end: str, stored: str
) -> None:
    created = world.post(begin="2026-03-09T09:00:00", end=f"2026-03-09T{end}", user=world.anna).json()
    assert created["end"] == "2026-03-09T10:00:00-0400"
    assert world.get(f"/api/timesheets/{created['id']}").json()["begin"] == f"2026-03-09T{stored}"


@pytest.mark.parametrize("begin", ["", None])
def test_no_begin_at_all_breaks_the_server(world: World, begin: str | None) -> None:
    entry = world.entry(world.ben, "2026-03-09T08:00:00", "2026-03-09T09:00:00")
    for answer in (world.post(begin=begin), world.patch(entry, begin=begin), world.post(begin=begin, zk_probe=1)):
        assert answer.status_code == 500
    refused = world.post(begin="x", zk_probe=1)
    assert (refused.status_code, _globals(refused)) == (400, ["This form should not contain extra fields."])
    assert world.post("anna", zk_probe=1).status_code == 400
    assert len(world.server.kimai.timesheets.rows) == 1


def test_single_permissions_can_be_taken_even_from_the_highest_role(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T08:00:00", "2026-03-09T09:00:00")
    billed = world.entry(world.ben, "2026-03-09T10:00:00", "2026-03-09T11:00:00", exported=True)

    def without(permission: str, method: str, row: int, **fields: Any) -> int:
        world.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {permission: False}}})
        return world.ask("root", method, f"/api/timesheets/{row}", json=fields or None).status_code

    assert without("edit_other_timesheet", "PATCH", entry, description="x") == 403
    assert without("edit_exported_timesheet", "PATCH", billed, description="x") == 403
    assert without("edit_billable_other_timesheet", "PATCH", entry, billable=False) == 400
    assert without("delete_other_timesheet", "DELETE", entry) == 403
    assert without("view_other_timesheet", "GET", entry) == 403
    assert world.get("/api/timesheets", user="all").json() == []
    lockdown = {"start": "first day of last month 00:00:00", "end": "last day of last month 23:59:59"}
    world.server.configure({f"timesheet.rules.lockdown_period_{edge}": text for edge, text in lockdown.items()})
    old = world.entry(world.ben, "2026-02-09T08:00:00", "2026-02-09T09:00:00")
    assert without("lockdown_grace_timesheet", "PATCH", old, description="x") == 200
    assert without("lockdown_override_timesheet", "PATCH", old, description="y") == 200
    world.server.configure({
        "permissions": {
            "ROLE_SUPER_ADMIN": {"lockdown_override_timesheet": False, "lockdown_grace_timesheet": False}
        }
    })  # fmt: skip
    refused = world.patch(old, description="z")
    assert (refused.status_code, refused.json()) == (403, {"code": 403, "message": "Forbidden"})


def test_a_changed_owner_zone_is_stored_by_the_next_patch_and_shown_after_it(world: World) -> None:
    entry = world.entry(world.anna, "2026-03-09T08:00:00", "2026-03-09T09:00:00")
    world.ask("root", "PATCH", f"/api/users/{world.anna}", json={"timezone": "Asia/Tokyo"})
    assert world.patch(entry, description="x").json()["begin"] == "2026-03-09T09:00:00+0100"
    assert world.get(f"/api/timesheets/{entry}").json()["begin"] == "2026-03-09T17:00:00+0900"


def test_a_patch_of_the_description_rounds_old_times_with_todays_settings(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:07:20", "2026-03-09T09:52:40")
    world.server.configure({"timesheet.rounding.default.begin": 15, "timesheet.rounding.default.end": 15})
    patched = world.patch(entry, description="x").json()
    assert (patched["begin"], patched["end"], patched["duration"]) == (
        "2026-03-09T09:00:00+0000",
        "2026-03-09T10:00:00+0000",
        3600,
    )


def test_an_empty_patch_writes_nothing(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:07:20", "2026-03-09T09:52:40", modified_at=0)
    assert world.patch(entry).json()["begin"] == "2026-03-09T09:07:20+0000"
    assert world.server.kimai.timesheets.rows[entry].modified_at == 0


def test_unknown_tags_are_dropped_without_a_word_and_hidden_ones_are_kept(world: World) -> None:
    world.server.add_tag("synced")
    world.server.add_tag("secret", visible=False)
    created = world.post(tags="SYNCED, unknown ,secret").json()
    assert sorted(created["tags"]) == ["secret", "synced"]


def test_tags_as_a_list_are_refused(world: World) -> None:
    answer = world.post(tags=["synced"])
    assert answer.status_code == 400
    assert answer.json()["errors"]["children"]["tags"] == {"errors": ["This value is not valid."]}


def test_a_tag_created_without_visible_is_hidden(world: World) -> None:
    assert world.ask("root", "POST", "/api/tags", json={"name": "synced"}).json()["visible"] is False
    assert world.get("/api/tags").json() == []
    assert world.get("/api/timesheets", **{"tags[]": "synced"}).status_code == 400


@pytest.mark.parametrize(
    ("user", "fields"),
    [
        ("ben", ["begin", "end", "project", "activity", "description", "tags"]),
        ("lead", ["begin", "end", "project", "activity", "description", "user", "tags", "exported", "billable"]),
        (
            "root",
            [
                *("begin", "end", "project", "activity", "description", "fixedRate", "hourlyRate"),
                *("user", "tags", "exported", "billable"),
            ],
        ),
    ],
)
def test_the_form_has_the_fields_the_caller_may_send(world: World, user: str, fields: list[str]) -> None:
    answer = world.post(user, duration=3600)
    assert (answer.status_code, _globals(answer)) == (400, ["This form should not contain extra fields."])
    assert _children(answer) == fields


def test_the_field_user_is_an_extra_field_without_the_permission(world: World) -> None:
    answer = world.ask("ben", "POST", "/api/timesheets", json={"project": 1, "activity": 1, "user": world.ben})
    assert _globals(answer) == ["This form should not contain extra fields."]


def test_punch_mode_takes_begin_and_end_from_those_alone_who_see_others(world: World) -> None:
    world.server.configure({"timesheet.mode": "punch"})
    times = {"begin": "2026-03-09T09:00:00", "end": "2026-03-09T10:00:00"}
    assert "begin" not in _children(world.post("ben", **times))
    assert world.post("root", **times).status_code == 200


@pytest.mark.parametrize("case", ["disabled", "system", "unknown"])
def test_an_owner_who_cannot_be_picked_is_an_invalid_choice(world: World, case: str) -> None:
    add = world.server.add_user
    ids = {
        "disabled": add("off", "off@example.com", enabled=False),
        "system": add("bot", "bot@example.com", system_account=True),
        "unknown": 999,
    }
    answer = world.post(user=ids[case])
    assert answer.json()["errors"]["children"]["user"] == {"errors": ["The selected choice is invalid."]}


def test_a_team_lead_acts_for_members_of_led_teams_alone(world: World) -> None:
    times = {"begin": "2026-03-09T09:00:00", "end": "2026-03-09T10:00:00"}
    assert world.post("lead", user=world.anna, **times).status_code == 400
    world.server.add_team("Desk", leads=[world.lead], members=[world.anna])
    assert world.post("lead", user=world.anna, **times).status_code == 200


@pytest.mark.parametrize(
    "period",
    [
        {"end": date(2026, 3, 9)},
        {"start": date(2026, 3, 11)},
        {"visible": False},
    ],
)
def test_a_project_must_be_visible_and_run_today_whenever_the_entry_is(world: World, period: dict[str, Any]) -> None:
    project = world.server.add_project("Closed", world.customer, **period)
    answer = world.post(project=project, begin="2026-03-09T09:00:00", end="2026-03-09T10:00:00")
    assert answer.json()["errors"]["children"]["project"] == {"errors": ["The selected choice is invalid."]}


def test_an_entry_on_a_project_hidden_since_stays_editable(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00")
    world.ask("root", "PATCH", f"/api/projects/{world.project}", json={"visible": False})
    assert world.patch(entry, description="x", project=world.project).status_code == 200


def test_only_json_false_takes_the_export_mark_away(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00")
    marks = [world.patch(entry, exported=value).json()["exported"] for value in (False, "false", False, 0, False, None)]
    assert marks == [False, True, False, True, False, True]


def test_an_exported_entry_is_closed_to_its_owner(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00", exported=True)
    assert world.patch(entry, "ben", description="x").status_code == 403
    assert world.ask("ben", "DELETE", f"/api/timesheets/{entry}").status_code == 403
    assert world.patch(entry, description="x").status_code == 200


def test_duplicate_clones_the_marker_and_not_the_export_mark(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00", "Work [zk-1]", exported=True)
    clone = world.ask("root", "PATCH", f"/api/timesheets/{entry}/duplicate").json()
    assert (clone["id"] != entry, clone["description"], clone["exported"]) == (True, "Work [zk-1]", False)


def test_a_copy_needs_the_right_to_create_and_not_to_change(world: World) -> None:
    path = f"/api/timesheets/{world.entry(world.ben, '2026-03-09T09:00:00', '2026-03-09T10:00:00')}"
    for missing, action, status in (
        ("edit_other_timesheet", "duplicate", 200),
        ("create_other_timesheet", "duplicate", 403),
        ("create_other_timesheet", "restart", 200),
        ("start_other_timesheet", "restart", 403),
    ):
        world.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {missing: False}}})
        assert world.ask("root", "PATCH", f"{path}/{action}", json={}).status_code == status, (missing, action)


def test_restart_copies_the_marker_only_when_everything_is_copied(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00", "Work [zk-1]")
    path = f"/api/timesheets/{entry}/restart"
    plain = world.ask("root", "PATCH", path, json={}).json()
    full = world.ask("root", "PATCH", path, json={"copy": "all"}).json()
    assert (plain["user"], plain["end"], plain["description"]) == (world.root, None, None)
    assert full["description"] == "Work [zk-1]"


def test_a_menu_offers_what_the_caller_may_do(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00")
    billed = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00", exported=True)

    def offered(record: str, missing: str) -> set[str]:
        world.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {missing: False}}})
        menu = world.get(f"/api/actions/{record}/index/en")
        return {row["id"] for row in menu.json()} if menu.status_code == 200 else {str(menu.status_code)}

    everything = {"repeat", "edit", "copy", "trash"}
    for missing, rest in {
        "create_tag": everything,
        "edit_other_timesheet": everything - {"edit"},
        "delete_other_timesheet": everything - {"trash"},
        "create_other_timesheet": everything - {"copy"},
        "start_other_timesheet": everything - {"repeat"},
        "view_other_timesheet": {"403"},
    }.items():
        assert offered(f"timesheet/{entry}", missing) == rest
    assert offered(f"timesheet/{billed}", "edit_exported_timesheet") == {"repeat", "copy"}
    assert "filter" in offered("activity/1", "create_tag")
    assert "filter" not in offered("activity/1", "view_other_timesheet")


def test_a_copy_keeps_the_marker_on_whatever_day_it_comes_to_lie(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T08:00:00", "2026-03-09T09:00:00", "Toner [zk-zammad-7]")
    copy = world.ask("root", "PATCH", f"/api/timesheets/{entry}/duplicate").json()["id"]
    world.patch(copy, begin="2026-01-15T08:00:00", end="2026-01-15T09:00:00")
    again = {"copy": "all", "begin": "2026-02-03T09:00:00"}
    restarted = world.ask("ben", "PATCH", f"/api/timesheets/{entry}/restart", json=again).json()["id"]
    found = world.get("/api/timesheets", user="all", term="[zk-zammad-7]").json()
    assert {row["id"]: row["begin"][:10] for row in found} == {
        entry: "2026-03-09",
        copy: "2026-01-15",
        restarted: "2026-02-03",
    }


def test_a_running_entry_beyond_the_limit_stops_the_one_before(world: World) -> None:
    first = world.post("ben", begin="2026-03-10T08:00:00").json()
    world.post("ben", begin="2026-03-10T09:00:00")
    assert world.get(f"/api/timesheets/{first['id']}").json()["end"] == "2026-03-10T12:00:00+0000"
    assert len(world.get("/api/timesheets/active", "ben").json()) == 1


def test_overlapping_entries_are_refused_and_adjacent_ones_are_not(world: World) -> None:
    world.server.configure({"timesheet.rules.allow_overlapping_records": False})
    world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00")
    inside = world.post("ben", begin="2026-03-09T09:30:00", end="2026-03-09T10:30:00")
    after = world.post("ben", begin="2026-03-09T10:00:00", end="2026-03-09T11:00:00")
    assert _globals(inside) == ["You already have an entry for this time."]
    assert after.status_code == 200


def test_an_entry_in_a_locked_period_can_neither_be_created_nor_changed(world: World) -> None:
    world.server.configure(
        {
            "timesheet.rules.lockdown_period_start": "first day of last month 00:00:00",
            "timesheet.rules.lockdown_period_end": "last day of last month 23:59:59",
        }
    )
    entry = world.entry(world.ben, "2026-02-09T09:00:00", "2026-02-09T10:00:00")
    created = world.post("ben", begin="2026-02-09T11:00:00", end="2026-02-09T12:00:00")
    assert _globals(created) == ["This period is locked. Please choose a later date."]
    assert world.patch(entry, "ben", description="x").status_code == 403
    assert world.patch(entry, description="x").status_code == 200


def test_a_description_beyond_the_column_breaks_the_server_and_leaves_no_row(world: World) -> None:
    assert world.post(description="ü" * 32_768).status_code == 500
    assert len(world.server.kimai.timesheets) == 0


def test_a_custom_field_must_be_declared_and_does_not_count_as_a_change(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00", modified_at=0)
    path, body = f"/api/timesheets/{entry}/meta", {"name": "ticket", "value": "77"}
    assert world.ask("root", "PATCH", path, json=body).status_code == 404
    world.server.configure({"meta_fields": ["ticket"]})
    assert world.ask("root", "PATCH", path, json=body).json()["metaFields"] == [body]
    assert world.server.kimai.timesheets.rows[entry].modified_at == 0


@pytest.mark.parametrize("kind", ["projects", "activities"])
def test_a_number_is_unique_within_its_kind_and_ten_characters_long_at_most(world: World, kind: str) -> None:
    def created(number: str) -> Any:
        body = {"name": "Another", "number": number} | ({"customer": 1} if kind == "projects" else {})
        answer = world.ask("root", "POST", f"/api/{kind}", json=body).json()
        return answer.get("errors", {}).get("children", {}).get("number", answer.get("number"))

    assert created("ZT12345678") == "ZT12345678"
    assert created("ZT12345678") == {"errors": ["The number ZT12345678 is already used."]}
    assert created("ZT123456789") == {"errors": ["This value is too long. It should have 10 characters or less."]}


def test_names_repeat_freely_and_refuse_four_characters(world: World) -> None:
    again = world.ask("root", "POST", "/api/customers", json={"name": "ACME"})
    bad = world.ask("root", "POST", "/api/customers", json={"name": "A <b> c"})
    assert (again.status_code, again.json()["number"]) == (200, "0003")
    assert bad.json()["errors"]["children"]["name"]["errors"] == ['The following characters are not allowed: < > " =']


def test_project_days_are_posted_as_dates_and_patched_as_date_times(world: World) -> None:
    path = f"/api/projects/{world.project}"
    assert world.ask("root", "PATCH", path, json={"end": "2026-12-31"}).status_code == 400
    assert world.ask("root", "PATCH", path, json={"end": "2026-12-31T00:00:00"}).json()["end"] == "2026-12-31"
    posted = world.ask("root", "POST", "/api/projects", json={"name": "New", "customer": 1, "end": "2026-12-31"})
    assert posted.json()["end"] == "2026-12-31"


def test_deleting_a_customer_deletes_its_entries(world: World) -> None:
    entry = world.entry(world.ben, "2026-03-09T09:00:00", "2026-03-09T10:00:00")
    assert world.ask("root", "DELETE", f"/api/customers/{world.customer}").status_code == 204
    assert world.get(f"/api/timesheets/{entry}").status_code == 404
