"""Mappings on a planned month: what lacks one, what may be meant, and which days a deleted one was for."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from zk_pipeline.decisions import mapping_files, mapping_names, mappings
from zk_pipeline.decisions.mapping_files import Suggestion
from zk_pipeline.decisions.mapping_names import MappingFilter, MappingRow
from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.identity.actors import Actor, Role, StaleError, UnknownError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Zk
from zk_pipeline_tests.operate.conftest import runtime_of
from zk_sandbox.demo import demo_mappings_csv

ANNA = Actor("user:7", Role.OPERATOR, "192.0.2.7")
BEN = Actor("user:8", Role.OPERATOR)
STADTWERKE = "Stadtwerke Auental"


@pytest.fixture(scope="module")
def planned(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the demo's month was planned with the demo's mappings."""
    home = homes.new()
    file = tmp_path_factory.mktemp("csv") / "mappings.csv"
    file.write_text(demo_mappings_csv(), encoding="utf-8")
    assert Zk(home)("mappings", "import", str(file)).exit_code == 0
    planned = Zk(home)("sync", "--plan", "--from", "2025-10-01", "--to", "2025-10-31", "--json")
    assert planned.exit_code == 3, planned.stderr
    return home


@pytest.fixture
def runtime(planned: Home, homes: Homes, sandbox: Sandbox) -> Iterator[Runtime]:
    with runtime_of(homes.new(like=planned)) as opened:
        yield opened


def found(runtime: Runtime, kind: Kind, name: str) -> MappingRow:
    rows, _ = mappings.page(runtime, kind, MappingFilter(name), limit=10, offset=0)
    (row,) = (row for row in rows if row.organization is None)
    return row


def days_of(runtime: Runtime, query: str, **values: Any) -> list[date]:
    with runtime.database.transaction() as connection:
        return [day for (day,) in connection.execute(text(query), values)]


def asked(runtime: Runtime) -> list[date]:
    return days_of(runtime, "SELECT day FROM sync.day_requests WHERE reason = 'mapping' ORDER BY day")


def test_what_lacks_a_mapping_is_listed_with_what_may_be_meant_and_nothing_is_taken(runtime: Runtime) -> None:
    lacking = {row.name: row for row in mappings.unmapped(runtime)}
    assert {(row.kind, name) for name, row in lacking.items()} == {
        (Kind.ACTIVITY, "Anfahrt"),
        (Kind.CUSTOMER, "Hartmann Maschinenbau AG"),
        (Kind.USER, "Tim Reuter"),
    }
    assert all(row.entries > 0 for row in lacking.values())
    (hartmann,) = (one for one in lacking["Hartmann Maschinenbau AG"].suggestions if one.score == 100)
    assert hartmann.name == "Hartmann Maschinenbau AG"
    assert "Hartmann Maschinenbau AG" in {row.name for row in mappings.unmapped(runtime)}


def test_what_waits_is_counted_in_entries_and_minutes(runtime: Runtime) -> None:
    (row,) = mappings.unmapped_page(runtime, Kind.ACTIVITY, limit=10, offset=0).rows
    query = """
        SELECT count(*), sum(e.time_minutes) FROM sync.conflicts c
        JOIN sync.normalized_entries e USING (source_id)
        WHERE c.reason = 'unmapped_activity' AND c.resolution_status = 'open'
    """
    with runtime.database.transaction() as connection:
        assert (row.entries, row.minutes) == tuple(connection.execute(text(query)).one())


def test_what_was_mapped_leaves_the_list_before_its_days_are_planned_again(runtime: Runtime) -> None:
    before = mappings.unmapped_page(runtime, Kind.ACTIVITY, limit=10, offset=0)
    mappings.set_one(runtime, ANNA, "activity", before.rows[0].zammad, "Wartung")
    mappings.set_one(runtime, ANNA, "customer", "Hartmann Maschinenbau AG", "new")
    mappings.set_one(runtime, ANNA, "user", "tim.reuter@nordlicht-it.example", "anna.berger", shared=True)
    after = mappings.unmapped_page(runtime, Kind.ACTIVITY, limit=10, offset=0)
    assert before.totals == {Kind.ACTIVITY: 1, Kind.USER: 1, Kind.CUSTOMER: 1}
    assert (after.rows, after.totals) == ((), dict.fromkeys(Kind, 0))


def test_a_page_of_what_lacks_a_mapping_has_only_its_part(runtime: Runtime) -> None:
    page = mappings.unmapped_page(runtime, Kind.USER, limit=10, offset=1)
    assert (page.rows, page.totals[Kind.USER]) == ((), 1)


def test_suggestions_are_sought_for_the_page_alone(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[Sequence[str]] = []

    def suggest(words: Sequence[str], candidates: Any) -> tuple[Suggestion, ...]:
        sought.append(words)
        return mapping_files.suggest(words, candidates)

    monkeypatch.setattr(mappings, "suggest", suggest)
    page = mappings.unmapped_page(runtime, None, limit=1, offset=1)
    assert (len(page.rows), sum(page.totals.values()), len(sought)) == (1, 3, 1)


def test_an_export_asks_no_system_whose_names_are_known(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Runtime] = []
    monkeypatch.setattr(mappings, "current_vocabulary", asked.append)
    assert mappings.export_csv(runtime).startswith("kind,zammad,kimai")
    assert asked == []


def test_what_a_mapping_can_be_about_is_searched_by_name_and_can_be_set_as_it_was_found(runtime: Runtime) -> None:
    (agent,) = mapping_names.zammad_options(runtime, Kind.USER, "REUTER")
    (activity_type,) = mapping_names.zammad_options(runtime, Kind.ACTIVITY, "anfahrt")
    (organization,) = mapping_names.zammad_options(runtime, Kind.CUSTOMER, "hartmann")
    found = {kind: mapping_names.kimai_options(runtime, kind, "")[0] for kind in Kind}
    mappings.set_one(runtime, ANNA, "user", agent.value, found[Kind.USER].value, shared=True)
    scoped = f"{activity_type.value}@{organization.value}"
    mappings.set_one(runtime, ANNA, "activity", scoped, found[Kind.ACTIVITY].value)
    mappings.set_one(runtime, ANNA, "customer", organization.value, found[Kind.CUSTOMER].value)
    rows, _ = mappings.page(runtime, Kind.ACTIVITY, MappingFilter("Hartmann"), limit=10, offset=0)
    assert [(row.zammad, row.kimai) for row in rows] == [("Anfahrt", found[Kind.ACTIVITY].name)]


def test_a_search_shows_no_more_than_a_few_and_nothing_for_a_name_that_is_not_there(runtime: Runtime) -> None:
    assert len(mapping_names.zammad_options(runtime, Kind.CUSTOMER, "")) == mapping_names.LIMIT
    assert mapping_names.kimai_options(runtime, Kind.CUSTOMER, "100%_") == []


def test_a_deleted_mapping_asks_for_the_days_that_used_it(runtime: Runtime) -> None:
    row = found(runtime, Kind.ACTIVITY, "Beratung")
    used = days_of(
        runtime,
        "SELECT DISTINCT entry_date FROM sync.normalized_entries WHERE activity_type_id = :type ORDER BY 1",
        type=row.zammad_id,
    )
    assert used
    assert mappings.delete(runtime, ANNA, Kind.ACTIVITY, row.key) == used
    assert asked(runtime) == used
    with pytest.raises(UnknownError, match="The activity mapping"):
        mappings.one(runtime, Kind.ACTIVITY, row.key)


def test_days_on_which_another_mapping_went_before_it_are_not_asked_for(runtime: Runtime) -> None:
    mappings.set_one(runtime, ANNA, "activity", f"Beratung@{STADTWERKE}", "Wartung")
    row = found(runtime, Kind.ACTIVITY, "Beratung")
    without = days_of(
        runtime,
        """
        SELECT DISTINCT entry_date FROM sync.normalized_entries
        WHERE activity_type_id = :type AND organization_name IS DISTINCT FROM :name ORDER BY 1
        """,
        type=row.zammad_id,
        name=STADTWERKE,
    )
    assert mappings.delete(runtime, ANNA, Kind.ACTIVITY, row.key) == without


def test_an_agents_mapping_is_found_by_the_email_in_any_case(runtime: Runtime) -> None:
    mappings.set_one(runtime, ANNA, "user", "TIM.REUTER@nordlicht-it.example", "anna.berger", shared=True)
    rows, total = mappings.page(runtime, Kind.USER, MappingFilter("tim.reuter"), limit=10, offset=0)
    query = "SELECT DISTINCT entry_date FROM sync.normalized_entries WHERE user_name = 'Tim Reuter' ORDER BY 1"
    assert total == 1
    assert mappings.delete(runtime, ANNA, Kind.USER, rows[0].key) == days_of(runtime, query) != []


def test_a_deletion_is_audited_with_what_was_there_and_from_where(runtime: Runtime) -> None:
    row = found(runtime, Kind.ACTIVITY, "Beratung")
    mappings.delete(runtime, ANNA, Kind.ACTIVITY, row.key)
    query = "SELECT actor, subject, detail FROM sync.audit_logs JOIN sync.audit_details USING (id) WHERE event = :event"
    with runtime.database.transaction() as connection:
        ((actor, subject, detail),) = connection.execute(text(query), {"event": "mapping.deleted"})
    assert (actor, subject) == ("user:7", "mapping:activity")
    assert detail["before"]["type_id"] == row.zammad_id
    assert detail["address"] == "192.0.2.7"


def test_who_changes_a_mapping_that_was_changed_meanwhile_is_told_where_it_leads(runtime: Runtime) -> None:
    row = found(runtime, Kind.ACTIVITY, "Beratung")
    mappings.change(runtime, ANNA, Kind.ACTIVITY, row.key, "Wartung", seen=row.updated_at)
    with pytest.raises(StaleError, match="changed meanwhile, to Wartung"):
        mappings.change(runtime, BEN, Kind.ACTIVITY, row.key, "Sonstiges", seen=row.updated_at)
    assert mappings.one(runtime, Kind.ACTIVITY, row.key).kimai == "Wartung"


def test_a_dry_run_that_finds_problems_tells_them_all_and_nothing_else(runtime: Runtime) -> None:
    outcome = mappings.check_content(runtime, ANNA, b"kind,zammad,kimai\nactivity,Segeln,Reise\nuser,,anna.berger\n")
    assert [(problem.line, problem.column, problem.value) for problem in outcome.problems] == [
        (2, "zammad", "Segeln"),
        (3, "zammad", ""),
    ]
    assert (outcome.mappings, outcome.changes, outcome.days) == (0, (), ())


def test_who_has_not_booked_is_looked_up_and_kept_once_mapped(runtime: Runtime, sandbox: Sandbox) -> None:
    stored = set(days_of(runtime, "SELECT email FROM zammad.agents"))
    with runtime.source() as source:
        silent = next(agent.email for agent in source.find("@").agents if agent.email not in stored)
    (choice,) = mapping_names.zammad_options(runtime, Kind.USER, silent)
    assert choice.note == silent
    mappings.set_one(runtime, ANNA, "user", choice.value, "p.okafor", shared=True)
    assert set(days_of(runtime, "SELECT email FROM zammad.agents")) == {*stored, silent}
    assert any(row.known and row.zammad == silent for row in mappings.every(runtime))
    assert sandbox.zammad.requests().writes == 0
