"""`/api/v1/schedules`: what runs when, tried before it is stored, and told when Dagster has not taken it over."""

from typing import Any

import httpx
import pytest

from zk_pipeline_tests.cli.test_up import free_port
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web, refused

PATH = "/api/v1/schedules"
CATCH_UP = f"{PATH}/catch_up"
NOWHERE = f"http://127.0.0.1:{free_port()}"

pytestmark = pytest.mark.parametrize(
    "settings", [{"timezone": "Europe/Berlin", "dagster_address": NOWHERE}], indirect=True
)


def shown(client: httpx.Client, name: str = "catch_up") -> dict[str, Any]:
    return next(row for row in client.get(PATH).json()["items"] if row["name"] == name)


def previewed(client: httpx.Client, cron: str, after: str) -> list[str]:
    answer = client.get(f"{PATH}/preview", params={"cron": cron, "after": after, "number": 3})
    assert answer.status_code == 200, answer.text
    return answer.json()["next_runs"]


def test_at_first_all_is_as_the_environment_says(viewer: httpx.Client) -> None:
    row = shown(viewer)
    assert (row["cron"], row["days"], row["on"], row["when_busy"]) == ("0 */6 * * *", 7, True, "skip")
    assert set(row["origins"].values()) == {"environment"}
    assert row["zone"] == "Europe/Berlin"
    assert len(set(row["next_runs"])) == 5


def test_a_change_is_stored_and_shown_and_audited(web: Web, admin: httpx.Client) -> None:
    told = admin.put(CATCH_UP, json={"days": 9, "when_busy": "queue"}).json()
    assert (told["changed"], told["in_effect"], told["text"]) == (True, True, "In effect.")
    assert told["schedule"] == shown(admin)
    assert (shown(admin)["days"], shown(admin)["origins"]["days"]) == (9, "stored")
    query = (
        "SELECT subject, detail FROM sync.audit_logs JOIN sync.audit_details USING (id) WHERE event = 'schedule.set'"
    )
    ((subject, detail),) = web.rows(query)
    assert subject == "schedule:catch_up"
    assert (detail["before"]["days"]["value"], detail["after"]["days"]["value"]) == (7, 9)
    assert detail["address"] == "127.0.0.1"


def test_a_cron_that_dagster_has_not_loaded_yet_is_stored_and_told(admin: httpx.Client) -> None:
    told = admin.put(CATCH_UP, json={"cron": "15 4 * * *"}).json()
    assert (told["changed"], told["in_effect"]) == (True, False)
    assert f"Dagster at {NOWHERE} does not answer" in told["text"]
    assert shown(admin)["cron"] == "15 4 * * *"


def test_null_returns_one_field_to_the_environment_and_a_reset_all(admin: httpx.Client) -> None:
    admin.put(CATCH_UP, json={"days": 9, "when_busy": "queue"})
    admin.put(CATCH_UP, json={"days": None})
    assert shown(admin)["origins"] == {
        "cron": "environment",
        "days": "environment",
        "on": "environment",
        "when_busy": "stored",
    }
    admin.put(CATCH_UP, json={"reset": True})
    assert set(shown(admin)["origins"].values()) == {"environment"}


def test_the_same_again_changes_nothing(web: Web, admin: httpx.Client) -> None:
    admin.put(CATCH_UP, json={"days": 9})
    assert admin.put(CATCH_UP, json={"days": 9}).json()["changed"] is False
    assert web.rows("SELECT count(*) FROM sync.audit_logs WHERE event = 'schedule.set'") == [(1,)]


def test_a_preset_is_a_usual_choice(admin: httpx.Client) -> None:
    presets = {row["name"]: row for row in admin.get(f"{PATH}/presets").json()["items"]}
    assert presets["off"] == {"name": "off", "cron": None, "on": False}
    row = admin.put(CATCH_UP, json={"preset": "off"}).json()["schedule"]
    assert (row["on"], row["cron"], row["next_runs"]) == (False, "0 */6 * * *", [])
    admin.put(CATCH_UP, json={"preset": "hourly"})
    assert (shown(admin)["on"], shown(admin)["cron"]) == (True, presets["hourly"]["cron"])


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({}, "there is nothing to change"),
        ({"cron": "whenever"}, "catch_up.cron='whenever': is no cron expression; give five fields"),
        ({"cron": "* * * * *"}, "runs more than once in 5 minutes"),
        ({"days": 0}, "days"),
        ({"on": "maybe"}, "on"),
        ({"preset": "hourly", "cron": "0 4 * * *"}, "give either a preset or a cron"),
        ({"name": "deep_check"}, "name"),
    ],
)
def test_a_wrong_change_is_one_sentence_and_stores_nothing(
    web: Web, admin: httpx.Client, body: dict[str, Any], part: str
) -> None:
    refused(admin.put(CATCH_UP, json=body), 422, part)
    assert web.rows("SELECT * FROM sync.settings") == []


def test_a_schedule_that_does_not_exist_is_refused(admin: httpx.Client) -> None:
    refused(admin.put(f"{PATH}/yearly", json={"days": 9}), 422, "name")


def test_a_preview_of_the_night_when_clocks_go_forward_runs_at_the_end_of_the_gap(viewer: httpx.Client) -> None:
    assert previewed(viewer, "30 2 * * *", "2026-03-28T00:00:00+01:00") == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_preview_of_the_night_when_clocks_go_back_runs_once(viewer: httpx.Client) -> None:
    assert previewed(viewer, "30 2 * * *", "2026-10-24T00:00:00+02:00") == [
        "2026-10-24T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_a_preview_stores_nothing(web: Web, viewer: httpx.Client) -> None:
    previewed(viewer, "0 5 * * *", "2026-01-01T00:00:00Z")
    assert web.rows("SELECT * FROM sync.settings") == []


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ({"cron": "0 0 31 2 *"}, "cron='0 0 31 2 *': is no cron expression; give five fields"),
        ({"cron": "\u0000"}, "is no cron expression"),
        ({"cron": "0 4 * * *", "after": "9999-12-31T23:00:00Z"}, "between 2000 and 2100"),
        ({"cron": "0 4 * * *", "after": "2026-01-01T00:00:00"}, "timezone"),
        ({"cron": "0 4 * * *", "number": 51}, "number"),
    ],
)
def test_a_preview_that_cannot_be_says_why(viewer: httpx.Client, query: dict[str, Any], part: str) -> None:
    refused(viewer.get(f"{PATH}/preview", params=query), 422, part)


def test_everybody_looks_and_admins_change(as_role: AsRole) -> None:
    for role in ("viewer", "operator"):
        assert as_role(role).get(PATH).status_code == 200
        refused(as_role(role).put(CATCH_UP, json={"days": 9}), 403, "needs the role admin")
