"""Reading from the simulated Kimai: silent filters, pages, marker search, permissions, versions, state."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zk_pipeline_tests.sandbox.kimai_world import World, asked
from zk_sandbox.kimai import KimaiServer


@pytest.fixture
def world() -> World:
    world = World()
    world.entry(world.anna, "2026-03-09T08:00:00", "2026-03-09T09:00:00", "Anna [zk-1]")
    world.entry(world.ben, "2026-03-09T08:00:00", "2026-03-09T09:00:00", "Ben [zk-2]")
    world.entry(world.root, "2026-03-09T10:00:00", "2026-03-09T11:00:00", "Root ref:zk-3")
    return world


def _owners(answer: Any) -> set[int]:
    return {row["user"] for row in answer.json()}


def test_an_unknown_user_falls_back_to_the_caller(world: World) -> None:
    for unknown in ({"user": 999}, {"users[]": 999}):
        answer = world.get("/api/timesheets", **unknown)
        assert (answer.status_code, _owners(answer)) == (200, {world.root})


def test_all_users_are_listed_to_those_alone_who_may_see_them(world: World) -> None:
    everybody = world.get("/api/timesheets", user="all")
    plain = world.get("/api/timesheets", "anna", user="all")
    assert (_owners(everybody), _owners(plain)) == ({world.root, world.anna, world.ben}, {world.anna})


def test_an_unknown_project_filters_nothing(world: World) -> None:
    params = {"user": "all", "project": 999}
    assert len(world.get("/api/timesheets", **params).json()) == 3
    params["project"] = world.other_project
    assert world.get("/api/timesheets", **params).json() == []


@pytest.mark.parametrize(
    "params",
    [
        {"users": "4"},
        {"project[]": "1"},
        {"size": "-1"},
        {"order": "asc"},
        {"orderBy": "modified"},
        {"begin": "2026-03-09"},
        {"begin": "2026-03-09T08:00:00Z"},
        {"exported": "true"},
        {"full": "yes"},
        {"tags[]": "unknown"},
    ],
)
def test_a_parameter_that_fails_its_pattern_is_a_bad_request(world: World, params: dict[str, str]) -> None:
    answer = world.get("/api/timesheets", **params)
    assert (answer.status_code, answer.json()) == (400, {"code": 400, "message": "Bad Request"})


def test_begin_and_end_are_read_in_the_callers_zone_and_compare_begins(world: World) -> None:
    params = {"user": "all", "begin": "2026-03-09T09:00:00", "end": "2026-03-09T09:00:00"}
    assert world.get("/api/timesheets", **params).json() == []
    assert _owners(world.get("/api/timesheets", "anna", **params)) == {world.anna}


def test_pages_are_counted_in_headers_and_end_with_404(world: World) -> None:
    params = {"user": "all", "size": "2", "page": "2"}
    second = world.get("/api/timesheets", **params)
    third = world.get("/api/timesheets", **(params | {"page": "3"}))
    counted = [second.headers[f"X-{name}"] for name in ("Page", "Per-Page", "Total-Count", "Total-Pages")]
    assert counted == ["2", "2", "3", "2"]
    assert (len(second.json()), third.status_code) == (1, 404)


@pytest.mark.parametrize(("version", "per_page"), [("2.41.0", "9999"), ("2.65.0", "500")])
def test_the_page_size_is_capped_since_2_42(world: World, version: str, per_page: str) -> None:
    world.server.configure({"version": version})
    answer = world.get("/api/timesheets", size="9999")
    assert answer.headers["X-Per-Page"] == per_page


def _found(world: World, term: str) -> list[int]:
    answer = world.get("/api/timesheets", user="all", term=term)
    return [row["id"] for row in answer.json()]


def test_a_marker_is_found_wherever_the_entry_went_unless_it_holds_a_colon(world: World) -> None:
    assert _found(world, "[zk-1]") == [1]
    assert _found(world, "zk-1") == [1]
    assert _found(world, "ref:zk-3") == []
    assert _found(world, "zk_3") == [3]


def test_a_marker_among_fifty_thousand_is_found_exactly(world: World) -> None:
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    row = {"user": world.anna, "project": world.project, "activity": world.activity}
    world.server.add_timesheets(
        row | {"begin": begin, "end": begin + timedelta(minutes=5), "description": f"Ticket #{at} [zk-a{at}z]"}
        for at in range(50_000)
    )
    assert _found(world, "zk-a4711z") == [4715]


def test_what_changed_is_asked_for_in_utc(world: World) -> None:
    def modified_after(moment: str) -> int:
        answer = world.get("/api/timesheets", modified_after=moment)
        return len(answer.json())

    assert [modified_after(f"2026-03-10T{time}") for time in ("12:00:00", "12:00:01")] == [1, 0]


def _names(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def test_projects_not_running_now_are_listed_only_when_dates_are_ignored(world: World) -> None:
    world.server.add_project("Ended", world.customer, end=datetime(2026, 3, 1, tzinfo=UTC).date())
    world.server.add_project("Hidden", world.customer, visible=False)
    assert _names(world.get("/api/projects").json()) == ["Shop", "Website"]
    assert _names(world.get("/api/projects", visible=3).json()) == ["Hidden", "Shop", "Website"]
    everything = world.get("/api/projects", visible=3, ignoreDates=1)
    assert _names(everything.json()) == ["Ended", "Hidden", "Shop", "Website"]


def test_master_data_comes_without_pages(world: World) -> None:
    answer = world.get("/api/projects", size=1, page=5)
    assert (len(answer.json()), "X-Page" in answer.headers) == (2, False)


def test_the_users_list_needs_a_permission_that_an_administrator_lacks_by_default(world: World) -> None:
    world.server.add_user("boss", "boss@example.com", ["ROLE_ADMIN"], token="boss")
    assert world.get("/api/users", "boss").status_code == 403
    world.server.configure({"permissions": {"ROLE_ADMIN": {"view_user": True}}})
    assert len(world.get("/api/users", "boss").json()) == 5


def test_teams_close_their_projects_to_others(world: World) -> None:
    world.server.add_team("Desk", leads=[world.lead], members=[world.ben], projects=[world.project])
    assert world.get("/api/timesheets", "anna").json() == []
    assert _names(world.get("/api/projects", "anna").json()) == ["Shop"]
    assert _owners(world.get("/api/timesheets", "lead", user="all")) == {world.ben}


def test_an_unknown_token_is_told_with_an_empty_body(world: World) -> None:
    answer = world.get("/api/version", "nobody")
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


def test_the_sixth_wrong_password_within_a_minute_is_a_bad_request(world: World) -> None:
    world.server.add_user("old", "old@example.com", api_password="secret")

    def ping(password: str) -> int:
        return asked(world.app, "GET", "/api/ping", {"X-AUTH-USER": "old", "X-AUTH-TOKEN": password}).status_code

    assert [ping("wrong") for _ in range(6)] == [403, 403, 403, 403, 403, 400]
    assert ping("secret") == 200


def test_the_word_bearer_is_case_sensitive(world: World) -> None:
    answer = asked(world.app, "GET", "/api/ping", {"Authorization": "bearer root"})
    assert (answer.status_code, answer.json()) == (401, {"code": 401, "message": "Unauthorized"})


def test_addresses_of_users_are_shown_since_2_45(world: World) -> None:
    world.server.configure({"version": "2.44.0"})
    assert "email" not in world.get("/api/users/me").json()
    world.server.configure({"version": "2.45.0"})
    assert world.get("/api/users/me").json()["email"] == "root@example.com"


def test_rates_are_shown_by_permission_since_2_66(world: World) -> None:
    assert "rate" in world.get("/api/timesheets/1", "anna").json()
    world.server.configure({"version": "2.66.0"})
    assert "rate" not in world.get("/api/timesheets/1", "anna").json()
    assert "rate" in world.get("/api/timesheets/1").json()


def test_a_snapshot_restores_the_whole_installation(world: World) -> None:
    world.server.configure({"timesheet.rounding.default.begin": 5})
    world.post(begin="2026-03-09T15:00:00", end="2026-03-09T16:00:00", hourlyRate="80.50")
    copy = KimaiServer()
    copy.restore(json.loads(json.dumps(world.server.snapshot())))
    assert copy.snapshot() == world.server.snapshot()
    answers = [
        asked(server.app(), "GET", "/api/timesheets?user=all", {"Authorization": "Bearer root"})
        for server in (world.server, copy)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[1].json()[0]["rate"] == 80.5
