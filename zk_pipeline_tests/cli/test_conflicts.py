"""`zk conflicts`: what waits, both sides of it, and decisions one by one and by filter."""

import json
import os
import pwd
import re
from decimal import Decimal
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text

from zk_pipeline.cli.output import hours
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Zk
from zk_sandbox.demo import demo_mappings_csv

DAYS = ("--from", "2025-10-01", "--to", "2025-10-31")


@pytest.fixture(scope="module")
def planned(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the demo's month was planned."""
    home = homes.new()
    mappings = tmp_path_factory.mktemp("csv") / "mappings.csv"
    mappings.write_text(demo_mappings_csv())
    assert Zk(home)("mappings", "import", str(mappings)).exit_code == 0
    assert Zk(home)("sync", "--plan", *DAYS, "--json").exit_code == 3
    return home


@pytest.fixture
def month(planned: Home, homes: Homes, zk: Zk, sandbox: Sandbox) -> Zk:
    """Runs `zk` where the demo's month waits for people."""
    return Zk(homes.new(like=planned))


def as_json(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def listed(zk: Zk, *options: str) -> list[dict[str, Any]]:
    return as_json(zk("conflicts", "list", "--each", "--json", *options))


def causes_of(zk: Zk, *options: str) -> list[dict[str, Any]]:
    return as_json(zk("conflicts", "list", "--json", *options))


def values(zk: Zk, query: str) -> list[Any]:
    with zk.home.database() as database, database.transaction() as connection:
        return list(connection.execute(text(query)).scalars())


def test_the_list_is_narrowed_by_reason_day_agent_and_customer(month: Zk) -> None:
    every = listed(month)
    for option, field in (("--reason", "reason"), ("--agent", "user_email"), ("--customer", "organization_name")):
        wanted = next(row[field] for row in every if row[field])
        expected = [row["id"] for row in every if row[field] == wanted]
        assert [row["id"] for row in listed(month, option, wanted.upper() if field != "reason" else wanted)] == expected
        assert 0 < len(expected) < len(every)
    day = every[0]["entry_date"]
    assert {row["entry_date"] for row in listed(month, "--from", day, "--to", day)} == {day}


def test_what_waits_is_listed_by_cause_with_hours_and_what_solves_it(month: Zk) -> None:
    every, found = listed(month), causes_of(month)
    assert sorted(id_ for cause in found for id_ in cause["ids"]) == sorted(row["id"] for row in every)
    amounts = [Decimal(cause["minutes"]) for cause in found]
    assert sum(amounts) == sum(Decimal(row["minutes"]) for row in every)
    assert amounts == sorted(amounts, reverse=True)
    hartmann = next(cause for cause in found if cause["name"] == "Hartmann Maschinenbau AG")
    assert (hartmann["title"], hartmann["maps"]) == ("Hartmann Maschinenbau AG has no Kimai customer", "customer")
    assert [row["name"] for row in hartmann["suggestions"]] == ["Hartmann Maschinenbau AG"]
    shown = month("conflicts", "list").stdout
    assert max(map(len, shown.splitlines())) <= 100
    assert len(shown.splitlines()) < 60
    text = " ".join(shown.split())
    assert f"zk mappings set customer {hartmann['zammad']} id:{hartmann['suggestions'][0]['id']}" in text
    # A correction that fits nothing is told as what it would take off; it is no time that waits.
    taken_off = [cause["minutes"] for cause in found if cause["reason"] == "unmatched_correction"]
    assert [Decimal(minutes) for minutes in taken_off] == [-15]
    assert f"{len(every)} conflicts, {hours(sum(amounts, Decimal(15)))}." in text


CODES = re.compile(r"\b(?!zk_)[a-z]+_[a-z_]+\b")
"""Codes as they are stored, such as `kimai_edited`."""


@pytest.mark.parametrize(
    ("language", "reason", "state"), [("en", "Agent not mapped", "Open"), ("de", "Agent nicht", "Offen")]
)
def test_people_read_names_hours_and_local_time(month: Zk, language: str, reason: str, state: str) -> None:
    conflict = listed(month, "--reason", "unmapped_user")[0]
    shown = {
        words: month(*words, ZK_LANGUAGE=language).stdout
        for words in [
            ("conflicts", "list", "--each"),
            ("conflicts", "show", str(conflict["id"])),
            ("trace", conflict["source_id"]),
            ("status",),
        ]
    }
    for words, told in shown.items():
        assert max(map(len, told.splitlines())) <= 100, words
        assert set(CODES.findall(told)) <= {"created_at"}, words
        assert not re.search(r"\+00:00|UTC", told), words
        assert reason in " ".join(told.split()), words
    assert state in shown["conflicts", "show", str(conflict["id"])]
    assert hours(Decimal(conflict["minutes"])) in shown["conflicts", "list", "--each"]


def test_one_cause_is_listed_and_decided_by_its_name(month: Zk) -> None:
    cause = next(row for row in causes_of(month) if row["kind"] == "duplicate")
    rows = listed(month, "--cause", cause["key"])
    assert [row["id"] for row in rows] == sorted(cause["ids"])
    shown = month("conflicts", "list", "--cause", cause["key"]).stdout
    assert max(map(len, shown.splitlines())) <= 100
    assert rows[0]["ticket_number"] in shown
    assert month("conflicts", "resolve", "--cause", cause["key"], "link", "--yes").exit_code == 0
    assert {row["id"] for row in listed(month, "--status", "decided")} == set(cause["ids"])
    refused = month("conflicts", "list", "--cause", "duplicate")
    assert (refused.exit_code, "No conflict has the cause 'duplicate'." in refused.stderr) == (1, True)


def test_a_conflict_is_shown_with_both_sides_candidates_and_what_may_be_decided(month: Zk) -> None:
    conflict = listed(month, "--reason", "fuzzy_candidate")[0]
    view = as_json(month("conflicts", "show", str(conflict["id"]), "--json"))
    sides = {side["field"]: side for side in view["sides"]}
    assert sides["user"]["wanted"] == sides["user"]["found"]
    assert any(side["differs"] for side in view["sides"])
    assert [row["choice"] for row in view["choices"]] == ["link", "create", "ignore"]
    assert view["candidates"][0]["timesheet_id"] == conflict["kimai_id"]
    assert [row["score"] for row in view["candidates"]] == sorted(
        (row["score"] for row in view["candidates"]), reverse=True
    )
    assert [row["id"] for row in view["history"]] == [conflict["id"]]

    shown = month("conflicts", "show", str(conflict["id"])).stdout
    assert max(map(len, shown.splitlines())) <= 100
    assert f"zk conflicts resolve {conflict['id']} link" in " ".join(shown.split())
    assert "≠" in shown
    assert "Candidates, best match first" in shown
    assert "The time sheet becomes the booking's" in shown


def test_a_correction_reduces_the_booking_that_is_named_until_that_is_taken_back(month: Zk) -> None:
    (conflict,) = listed(month, "--reason", "unmatched_correction")
    number = str(conflict["id"])
    view = as_json(month("conflicts", "show", number, "--json"))
    ids = [row["booking_id"] for row in view["bookings"]]
    assert len(ids) > 1
    assert (conflict["suggested_action"], [row["choice"] for row in view["choices"]]) == (
        "reduce",
        ["reduce", "ignore"],
    )
    shown = month("conflicts", "show", number).stdout
    assert "Bookings that it may reduce, best match first" in shown

    refused = month("conflicts", "resolve", number, "reduce")
    assert (refused.exit_code, "has several candidates: name the booking that is meant." in refused.stderr) == (1, True)
    refused = month("conflicts", "resolve", number, "reduce", "--booking", conflict["source_id"])
    assert f"booking {conflict['source_id']} is not a candidate; candidates: {ids[0]}" in refused.stderr
    decided = as_json(month("conflicts", "resolve", number, "reduce", "--booking", str(ids[1]), "--json"))
    assert decided["decided"] == [conflict["id"]]
    assert values(month, "SELECT correction_id || ' ' || reduced_id FROM sync.corrections") == [
        f"{conflict['source_id']} {ids[1]}"
    ]
    days = {row["booking_id"]: row["day"] for row in view["bookings"]}
    asked = {str(day) for day in values(month, "SELECT day FROM sync.day_requests WHERE reason = 'decision'")}
    assert asked == {conflict["entry_date"], days[ids[1]]}

    assert f"Taken back: Reduce of conflict {number}." in month("conflicts", "reopen", number).stdout
    assert values(month, "SELECT count(*) FROM sync.corrections") == [0]
    assert "cannot be asked again" in month("conflicts", "reopen", number).stderr


def test_an_entry_that_cannot_be_mapped_is_shown_in_zammads_words(month: Zk) -> None:
    conflict = listed(month, "--reason", "unmapped_user")[0]
    view = as_json(month("conflicts", "show", str(conflict["id"]), "--json"))
    sides = {side["field"]: side["wanted"] for side in view["sides"]}
    assert conflict["user_email"] in sides["user"]


def test_a_decision_is_stored_with_who_took_it_and_asks_for_its_day(month: Zk) -> None:
    conflict = listed(month, "--reason", "duplicate")[0]
    outcome = as_json(month("conflicts", "resolve", str(conflict["id"]), "link", "--json"))
    assert (outcome["decided"], outcome["days"]) == ([conflict["id"]], [conflict["entry_date"]])
    (row,) = listed(month, "--status", "decided")
    assert (row["decision"], row["decided_by"]) == ("link", f"cli:{pwd.getpwuid(os.getuid()).pw_name}")
    assert [str(day) for day in values(month, "SELECT day FROM sync.day_requests WHERE reason = 'decision'")] == [
        conflict["entry_date"]
    ]


def test_a_second_decision_is_told_of_the_first(month: Zk) -> None:
    conflict = str(listed(month, "--reason", "duplicate")[0]["id"])
    month("conflicts", "resolve", conflict, "link")
    result = month("conflicts", "resolve", conflict, "ignore")
    assert result.exit_code == 1
    name = pwd.getpwuid(os.getuid()).pw_name
    told = f"Conflict {conflict} is no longer open: {name} (command line) decided to link the time sheet."
    assert told in result.stderr


def test_a_filter_decides_about_each_that_it_names(month: Zk) -> None:
    rows = listed(month, "--reason", "unmapped_user")
    shown = month("conflicts", "resolve", "--reason", "unmapped_user", "ignore", "--yes", "--why", "Ours").stdout
    total = hours(sum((Decimal(row["minutes"]) for row in rows), Decimal(0)))
    assert f"{len(rows)} open conflicts, {total}: Leave out." in shown
    assert listed(month, "--reason", "unmapped_user") == []
    assert {row["id"] for row in listed(month, "--status", "decided")} == {row["id"] for row in rows}


def test_more_than_an_hour_is_left_out_with_a_reason_listed_and_brought_back(month: Zk) -> None:
    rows = listed(month, "--reason", "unmapped_user")
    refused = month("conflicts", "resolve", "--reason", "unmapped_user", "ignore", "--yes")
    time = hours(sum((Decimal(row["minutes"]) for row in rows), Decimal(0)))
    assert refused.exit_code == 1
    assert f"Say why: {time} would not be billed." in refused.stderr
    long = next(row for row in rows if Decimal(row["minutes"]) > 60)
    assert month("conflicts", "resolve", str(long["id"]), "ignore").exit_code == 1
    short = next(row for row in rows if Decimal(row["minutes"]) <= 60)
    assert month("conflicts", "resolve", str(short["id"]), "ignore").exit_code == 0
    assert month("conflicts", "resolve", str(long["id"]), "ignore", "--why", "A trainee").exit_code == 0
    left = {row["id"]: row["decision_why"] for row in listed(month, "--status", "left_out")}
    assert left == {short["id"]: "", long["id"]: "A trainee"}
    assert month("conflicts", "reopen", str(long["id"])).exit_code == 0
    assert [row["id"] for row in listed(month, "--status", "left_out")] == [short["id"]]
    again = [row for row in listed(month, "--reason", "unmapped_user") if row["source_id"] == long["source_id"]]
    assert [(row["resolution_status"], row["decision"]) for row in again] == [("open", None)]


def test_nothing_is_decided_before_somebody_agrees(month: Zk) -> None:
    before = listed(month)
    assert month("conflicts", "resolve", "--reason", "unmapped_user", "ignore").exit_code == 1
    preview = as_json(month("conflicts", "resolve", "--reason", "unmapped_user", "ignore", "--json"))
    assert len(preview["would_decide"]) == sum(row["reason"] == "unmapped_user" for row in before)
    assert listed(month) == before


def test_those_that_cannot_be_decided_so_are_listed_and_keep_nobody_else_up(month: Zk) -> None:
    possible = {row["id"] for row in listed(month, "--reason", "duplicate")}
    possible |= {row["id"] for row in listed(month, "--reason", "fuzzy_candidate")}
    others = {row["id"] for row in listed(month)} - possible
    outcome = as_json(month("conflicts", "resolve", *DAYS, "link", "--yes", "--json"), code=3)
    assert set(outcome["decided"]) == possible
    assert {row["id"] for row in outcome["left"]} == others
    assert {row["id"] for row in listed(month)} == others


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("resolve", "999999", "link"), "There is no conflict 999999."),
        (("resolve", "link"), "Name one conflict by its id, or filter conflicts with --cause"),
        (("resolve", "7", "link", "--reason", "duplicate"), "Name one conflict by its id, or"),
        (("resolve", "7", "marry"), "'marry' is not a decision. Choose one of create, update, link"),
        (("resolve", "x", "link"), "'x' is not a conflict id. Give one id"),
        (("resolve", "--reason", "duplicate", "link", "--timesheet", "3"), "--timesheet needs one conflict"),
        (("list", "--reason", "because"), "--reason 'because' is unknown. Choose one of zero,"),
        (("list", "--status", "shut"), "--status 'shut' is unknown. Choose one of open, decided"),
        (("list", "--from", "monday"), "--from 'monday' is not a day."),
        (("show", "999999"), "There is no conflict 999999."),
    ],
)
def test_what_does_not_work_gets_one_sentence(zk: Zk, arguments: tuple[str, ...], sentence: str) -> None:
    result = zk("conflicts", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence in result.stderr


def test_a_time_sheet_that_was_not_offered_is_no_choice(month: Zk) -> None:
    conflict = str(listed(month, "--reason", "duplicate")[0]["id"])
    result = month("conflicts", "resolve", conflict, "link", "--timesheet", "999999")
    assert result.exit_code == 1
    assert "time sheet 999999 is not a candidate; candidates: " in result.stderr
