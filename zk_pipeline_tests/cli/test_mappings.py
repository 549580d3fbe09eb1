"""`zk mappings`: files and single mappings against both systems, who changed what, and which days were waiting."""

import json
import os
import pwd
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text

from zk_pipeline.decisions.mapping_files import SIZE_LIMIT
from zk_pipeline.store import audit
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Zk
from zk_sandbox.demo import demo_mappings_csv

HEADER = "kind,zammad,kimai\n"
NOBODY = "tim.reuter@nordlicht-it.example"
UNMAPPED = "Anfahrt"
STADTWERKE = "Stadtwerke Auental"


@pytest.fixture
def demo_file(tmp_path: Path) -> Path:
    return file(tmp_path, demo_mappings_csv())


@pytest.fixture(scope="module")
def planned(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the demo's month was planned with the demo's mappings."""
    home = homes.new()
    imported = Zk(home)("mappings", "import", str(file(tmp_path_factory.mktemp("csv"), demo_mappings_csv())))
    assert imported.exit_code == 0
    assert plan(Zk(home)).exit_code == 3
    return home


@pytest.fixture
def month(planned: Home, homes: Homes, sandbox: Sandbox) -> Zk:
    """Runs `zk` in a home whose month is planned, with entries that wait for mappings."""
    return Zk(homes.new(like=planned))


def file(directory: Path, content: str | bytes) -> Path:
    path = directory / "mappings.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def plan(zk: Zk) -> Result:
    return zk("sync", "--plan", "--from", "2025-10-01", "--to", "2025-10-31", "--json")


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def rows(zk: Zk, query: str, **values: Any) -> list[Any]:
    with zk.home.database() as database, database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def unmapped(zk: Zk) -> dict[str, dict[str, Any]]:
    return {line["name"]: line for line in as_json(zk("mappings", "list", "--json"))["unmapped"]}


def asked(zk: Zk) -> list[date]:
    return [day for (day,) in rows(zk, "SELECT day FROM sync.day_requests WHERE reason = 'mapping' ORDER BY day")]


def waiting_days(zk: Zk, condition: str) -> list[date]:
    """The days of open conflicts whose entries fulfil the condition."""
    query = f"""
        SELECT DISTINCT c.entry_date FROM sync.conflicts c JOIN sync.normalized_entries e USING (source_id)
        WHERE c.resolution_status = 'open' AND {condition} ORDER BY 1
    """
    return [day for (day,) in rows(zk, query)]


# Import


def test_an_import_sets_every_mapping_of_the_file(zk: Zk, demo_file: Path) -> None:
    outcome = as_json(zk("mappings", "import", str(demo_file), "--json"))
    assert (outcome["mappings"], outcome["new"], outcome["changed"]) == (7, 7, 0)
    listed = as_json(zk("mappings", "list", "--json"))["mappings"]
    assert {"kind": "activity", "zammad": "Beratung", "kimai": "Consulting", "known": True} in listed
    assert len(listed) == 7


def test_a_second_import_changes_nothing(zk: Zk, demo_file: Path) -> None:
    zk("mappings", "import", str(demo_file))
    outcome = as_json(zk("mappings", "import", str(demo_file), "--json"))
    assert (outcome["unchanged"], outcome["changes"]) == (7, [])
    assert rows(zk, "SELECT count(*) FROM sync.audit_logs WHERE event <> 'audit.bound'") == [(7,)]


def test_the_table_shows_what_was_there_before(zk: Zk, demo_file: Path, tmp_path: Path) -> None:
    zk("mappings", "import", str(demo_file))
    result = zk("mappings", "import", str(file(tmp_path, HEADER + "activity,Beratung,Wartung\n")))
    assert [" ".join(line.split()) for line in result.stdout.splitlines() if "Beratung" in line] == [
        "activity Beratung Wartung Consulting"
    ]
    assert "0 new, 1 changed, 0 unchanged" in result.stdout


def test_a_dry_run_tells_and_writes_nothing(zk: Zk, demo_file: Path) -> None:
    outcome = as_json(zk("mappings", "import", str(demo_file), "--dry-run", "--json"))
    assert (outcome["new"], outcome["dry_run"]) == (7, True)
    assert as_json(zk("mappings", "list", "--json"))["mappings"] == []
    assert rows(zk, "SELECT count(*) FROM sync.audit_logs WHERE event <> 'audit.bound'") == [(0,)]


def test_bad_lines_are_all_listed_and_nothing_is_written(zk: Zk, tmp_path: Path) -> None:
    content = HEADER + "activity,Beratung,Consulting\nactivity,Anfahrt,Reise\nuser,x@y.example,p.okafor\n"
    result = zk("mappings", "import", str(file(tmp_path, content)))
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("Error: Line 3, column kimai: no activity in Kimai fits 'Reise'; the nearest: ")
    assert lines[1].startswith("Line 4, column zammad: no agent in Zammad fits 'x@y.example'; no other is known.")
    assert len(lines) == 2
    assert as_json(zk("mappings", "list", "--json"))["mappings"] == []


def test_names_are_those_of_today(zk: Zk, sandbox: Sandbox, tmp_path: Path) -> None:
    zk("mappings", "set", "activity", "Beratung", "Consulting")
    rename_activity(sandbox, "Consulting", "Advice")
    outcome = as_json(zk("mappings", "import", str(file(tmp_path, HEADER + "activity,Beratung,Advice\n")), "--json"))
    assert outcome["unchanged"] == 1
    assert "'Consulting'" in zk("mappings", "set", "activity", "Beratung", "Consulting").stderr


def rename_activity(sandbox: Sandbox, before: str, after: str) -> None:
    state = sandbox.kimai.state()
    (row,) = (row for row in state["tables"]["activities"]["rows"] if row["name"] == before)
    row["name"] = after
    sandbox.kimai.restore(state)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "The file is empty: begin it with the header kind,zammad,kimai."),
        (b"type,activity\n", "Line 1 must be the header kind,zammad,kimai but is 'type,activity': put it there."),
        (b"kind,zammad,kimai\nuser,\xff,x\n", "The file is not UTF-8 in line 2: save it as CSV in UTF-8."),
        (b"\n" * (SIZE_LIMIT + 1), "Choose a CSV file of mappings: this one is larger than 5 MB."),
    ],
)
def test_a_file_that_is_no_list_of_mappings_gets_one_sentence(
    zk: Zk, tmp_path: Path, content: bytes, expected: str
) -> None:
    result = zk("mappings", "import", str(file(tmp_path, content)))
    assert (result.exit_code, result.stderr) == (1, f"Error: {expected}\n")


def test_a_file_that_cannot_be_read_is_named(zk: Zk, tmp_path: Path) -> None:
    result = zk("mappings", "import", str(tmp_path / "absent.csv"))
    assert result.exit_code == 1
    assert "absent.csv cannot be read: No such file or directory. Name a CSV file.\n" in result.stderr


def test_an_unreachable_kimai_changes_nothing(homes: Homes, sandbox: Sandbox, demo_file: Path) -> None:
    zk = Zk(homes.new())
    result = zk("mappings", "import", str(demo_file), ZK_KIMAI_TOKEN="wrong")
    assert result.exit_code == 1
    assert "Kimai" in result.stderr
    assert "wrong" not in result.stderr
    assert rows(zk, "SELECT count(*) FROM sync.activity_mappings") == [(0,)]


# Export


def test_an_export_can_be_imported_and_changes_nothing(zk: Zk, demo_file: Path, tmp_path: Path) -> None:
    zk("mappings", "import", str(demo_file))
    zk("mappings", "set", "customer", "6", "new")
    zk("mappings", "set", "activity", "-@Stadtwerke Auental", "Wartung")
    exported = tmp_path / "exported.csv"
    assert zk("mappings", "export", str(exported)).exit_code == 0
    assert exported.read_text() == zk("mappings", "export").stdout
    assert "customer,id:6,new,Meyer KG,(a customer of its own)\n" in exported.read_text()
    assert f",(no type) @ {STADTWERKE},Wartung\n" in exported.read_text()
    outcome = as_json(zk("mappings", "import", str(exported), "--json"))
    assert (outcome["unchanged"], outcome["changes"]) == (9, [])


def test_an_export_that_cannot_be_written_is_named(zk: Zk, tmp_path: Path) -> None:
    result = zk("mappings", "export", str(tmp_path / "no" / "file.csv"))
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory. Choose another file." in result.stderr


# Single mappings, and what follows


def test_one_mapping_can_be_set(zk: Zk) -> None:
    result = zk("mappings", "set", "customer", "-", "K-0815")
    assert "1 new, 0 changed, 0 unchanged" in result.stdout
    assert rows(zk, "SELECT organization_id, kimai_customer_id IS NULL FROM sync.customer_mappings") == [("0", False)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("project", "1", "2"), "column kind: 'project' is not a kind; write one of activity, user, customer."),
        (("customer", "Meyer KG", "new"), "'Meyer KG' fits 2 things: Meyer KG (id 5), Meyer KG (id 6); write ids"),
        (("user", NOBODY, "nobody"), "column kimai: no user in Kimai fits 'nobody'; the nearest: "),
        (("activity", "", "Wartung"), "column zammad: the value is missing"),
    ],
)
def test_a_wrong_mapping_is_refused_with_the_remedy(zk: Zk, arguments: tuple[str, ...], expected: str) -> None:
    result = zk("mappings", "set", *arguments)
    assert result.exit_code == 1
    assert expected in result.stderr


def test_each_changed_mapping_is_audited_with_its_author_and_no_name_in_the_chain(zk: Zk) -> None:
    zk("mappings", "set", "user", NOBODY, "anna.berger", "--shared", LOGNAME="somebody-else")
    zk("mappings", "set", "user", NOBODY, "clara.hofmann", "--shared")
    zk("mappings", "set", "user", NOBODY, "clara.hofmann")
    query = "SELECT event, actor, subject, detail FROM sync.audit_logs JOIN sync.audit_details USING (id) ORDER BY id"
    first, second = rows(zk, query)[1:]
    assert first[:3] == second[:3] == ("mapping.set", f"cli:{pwd.getpwuid(os.getuid()).pw_name}", "mapping:user")
    assert first[3]["before"] is None
    assert second[3]["before"] == first[3]["after"]
    assert second[3]["after"]["agent"].isdecimal()
    with zk.home.database() as database, database.transaction() as connection:
        assert audit.verify(connection).broken_at is None


def test_the_list_begins_with_what_is_not_mapped(month: Zk) -> None:
    missing = unmapped(month)
    counts = {name: (line["kind"], line["zammad"]) for name, line in missing.items()}
    assert counts == {
        UNMAPPED: ("activity", "id:6"),
        "Hartmann Maschinenbau AG": ("customer", "id:2"),
        "Tim Reuter": ("user", NOBODY),
    }
    query = "SELECT count(*) FROM sync.conflicts WHERE reason = 'unmapped_activity' AND resolution_status = 'open'"
    assert [(missing[UNMAPPED]["entries"],)] == rows(month, query)
    shown = month("mappings", "list").stdout
    assert shown.index("Not mapped") < shown.index(UNMAPPED) < shown.index("Mappings")


@pytest.mark.parametrize(
    ("arguments", "condition"),
    [
        (("activity", UNMAPPED, "Sonstiges"), "c.reason = 'unmapped_activity' AND e.activity_type_id = '6'"),
        (
            ("activity", f"{UNMAPPED}@{STADTWERKE}", "Sonstiges"),
            f"c.reason = 'unmapped_activity' AND e.organization_name = '{STADTWERKE}'",
        ),
        (
            ("user", NOBODY.upper(), "anna.berger", "--shared"),
            f"c.reason = 'unmapped_user' AND e.user_email = '{NOBODY}'",
        ),
        (("customer", "Hartmann Maschinenbau AG", "K-0815"), "c.reason = 'unmapped_customer'"),
    ],
)
def test_the_days_that_waited_for_a_mapping_are_asked_for(
    month: Zk, arguments: tuple[str, ...], condition: str
) -> None:
    expected = waiting_days(month, condition)
    assert expected
    result = month("mappings", "set", *arguments)
    assert asked(month) == expected
    assert f"Days that waited for this: {len(expected)}." in result.stdout


def test_a_mapping_that_nothing_waits_for_asks_for_no_day(month: Zk) -> None:
    assert as_json(month("mappings", "set", "activity", "Wartung", "Consulting", "--json"))["days"] == []
    assert asked(month) == []


def test_a_dry_run_names_the_days_and_asks_for_none(month: Zk, tmp_path: Path) -> None:
    path = file(tmp_path, HEADER + f"user,{NOBODY},anna.berger\n")
    outcome = as_json(month("mappings", "import", str(path), "--dry-run", "--shared", "--json"))
    assert outcome["days"] == [str(day) for day in waiting_days(month, "c.reason = 'unmapped_user'")]
    told = month("mappings", "import", str(path), "--dry-run", "--shared").stdout
    assert "An import without --dry-run requests them." in told
    assert "They are requested" not in told
    assert asked(month) == []


def test_a_mapping_can_be_removed_and_its_days_are_asked_for(month: Zk) -> None:
    used = [
        day
        for (day,) in rows(
            month,
            "SELECT DISTINCT entry_date FROM sync.normalized_entries n "
            "JOIN zammad.activity_types t ON t.id = n.activity_type_id WHERE t.name = 'Beratung' ORDER BY 1",
        )
    ]
    told = as_json(month("mappings", "unset", "activity", "Beratung", "--json"))
    assert (told["kimai"], told["days"]) == ("Consulting", [str(day) for day in used])
    assert asked(month) == used != []
    again = month("mappings", "unset", "activity", "Beratung")
    assert (again.exit_code, again.stderr) == (
        1,
        "Error: 'Beratung' has no activity mapping. The list of mappings shows all there are.\n",
    )


def test_a_mapping_of_what_is_gone_can_be_removed_as_it_is_listed(zk: Zk) -> None:
    zk("mappings", "set", "customer", "-", "new")
    with zk.home.database() as database, database.transaction() as connection:
        connection.execute(text("INSERT INTO sync.user_mappings (email, kimai_user_id) VALUES ('gone@ex.de', 9)"))
        connection.execute(text("INSERT INTO sync.customer_mappings (organization_id) VALUES (99)"))
    for kind, value in (("user", "GONE@ex.de"), ("customer", "id:99"), ("customer", "-")):
        assert zk("mappings", "unset", kind, value).exit_code == 0
    assert as_json(zk("mappings", "list", "--json"))["mappings"] == []


def test_an_activity_of_one_project_is_mapped_with_a_warning(zk: Zk, sandbox: Sandbox) -> None:
    state = sandbox.kimai.state()
    project = state["tables"]["projects"]["rows"][0]
    (row,) = (row for row in state["tables"]["activities"]["rows"] if row["name"] == "Wartung")
    row["project"] = project["id"]
    sandbox.kimai.restore(state)
    told = zk("mappings", "set", "activity", "Wartung", f"id:{row['id']}")
    assert told.exit_code == 0
    assert f"Warning: Activity Wartung (id {row['id']}) belongs to project {project['name']} " in told.stderr
    assert zk("mappings", "set", "activity", "Beratung", "Consulting").stderr == ""


def test_what_was_mapped_waits_no_longer_after_the_next_sync(month: Zk) -> None:
    month("mappings", "set", "activity", UNMAPPED, "Sonstiges")
    plan(month)
    assert UNMAPPED not in unmapped(month)
