"""`/api/v1/mappings`: set one by one and as a file, each bad line named, and nobody's change lost."""

from typing import Any

import httpx
import pytest

from zk_pipeline.decisions.mapping_files import SIZE_LIMIT
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web, refused
from zk_sandbox.client import SandboxControl
from zk_sandbox.demo import demo_mappings_csv
from zk_sandbox.server import SandboxProcess

PATH = "/api/v1/mappings"
ACTIVITIES = f"{PATH}/activities"
HEADER = "kind,zammad,kimai\n"
CSV = {"content-type": "text/csv; charset=utf-8"}

pytestmark = pytest.mark.usefixtures("ids")


def upload(client: httpx.Client, content: str | bytes, *, dry_run: bool = False) -> httpx.Response:
    return client.post(f"{PATH}/import", params={"dry_run": dry_run}, content=content, headers=CSV)


def mapped(operator: httpx.Client, zammad: str, kimai: str, collection: str = "activities") -> dict[str, Any]:
    """The mapping as the list has it, once it was set."""
    answer = operator.post(f"{PATH}/{collection}", json={"zammad": zammad, "kimai": kimai, "shared": True})
    assert answer.status_code == 201, answer.text
    rows = operator.get(f"{PATH}/{collection}").json()["items"]
    return next(row for row in rows if zammad in {row["zammad"], row["email"]})


def test_a_mapping_is_set_listed_found_changed_and_deleted(operator: httpx.Client) -> None:
    row = mapped(operator, "Beratung", "Consulting")
    assert (row["zammad"], row["kimai"], row["known"]) == ("Beratung", "Consulting", True)
    url = f"{ACTIVITIES}/{row['key']}"
    assert operator.get(url).json() == row
    changed = operator.put(url, json={"kimai": "Wartung"}).json()
    assert changed["changes"] == [
        {"kind": "activity", "zammad": "Beratung", "kimai": "Wartung", "before": "Consulting"}
    ]
    assert operator.get(url).json()["kimai"] == "Wartung"
    assert operator.delete(url).json() == {"days": []}
    refused(operator.get(url), 404, "The activity mapping")


def test_every_kind_has_a_list_with_the_names_of_both_sides(operator: httpx.Client) -> None:
    assert upload(operator, demo_mappings_csv()).json()["new"] == 7
    operator.post(f"{PATH}/customers", json={"zammad": "-", "kimai": "new"})
    mapped(operator, "tim.reuter@nordlicht-it.example", "anna.berger", "users")
    pages = {kind: operator.get(f"{PATH}/{kind}").json() for kind in ("activities", "users", "customers")}
    assert all(row["zammad"] and row["kimai"] and row["known"] for page in pages.values() for row in page["items"])
    (own,) = [row for row in pages["customers"]["items"] if row["kimai_id"] is None]
    assert (own["zammad"], own["kimai"]) == ("(no organization)", "(a customer of its own)")


def test_who_is_who_is_told_with_how_it_is_known(operator: httpx.Client) -> None:
    upload(operator, demo_mappings_csv())
    page = operator.get(f"{PATH}/partners/activities", params={"size": 3}).json()
    assert (page["items"][0]["name"], page["items"][0]["state"], page["items"][0]["way"]) == (
        "Anfahrt",
        "open",
        "unmapped",
    )
    assert sum(page["states"].values()) == page["total"]
    assert page["pages"] == -(-page["total"] // 3)
    by_hand = operator.get(f"{PATH}/partners/activities", params={"state": "hand"}).json()
    assert {row["sure"] for row in by_hand["items"]} == {True}
    assert all(row["mapping"]["kimai"] == row["kimai"] and row["since"] for row in by_hand["items"])
    assert by_hand["states"] == page["states"]


def test_a_list_is_filtered_by_a_part_of_a_name_on_either_side_and_paged(operator: httpx.Client) -> None:
    upload(operator, demo_mappings_csv())
    found = operator.get(ACTIVITIES, params={"search": "CONSULT"}).json()
    assert [row["zammad"] for row in found["items"]] == ["Beratung"]
    assert operator.get(ACTIVITIES, params={"search": "%"}).json()["total"] == 0
    total = operator.get(ACTIVITIES).json()["total"]
    last = operator.get(ACTIVITIES, params={"size": 1, "page": total}).json()
    assert (len(last["items"]), last["total"], last["pages"]) == (1, total, total)
    beyond = operator.get(ACTIVITIES, params={"size": 1, "page": total + 1}).json()
    assert (beyond["items"], beyond["total"]) == ([], total)


def test_what_is_gone_in_a_system_is_listed_as_gone_and_first(operator: httpx.Client, pristine: SandboxProcess) -> None:
    mapped(operator, "Beratung", "Consulting")
    mapped(operator, "Wartung", "Wartung")
    with SandboxControl(pristine.kimai_url) as kimai:
        state = kimai.state()
        rows = state["tables"]["activities"]["rows"]
        state["tables"]["activities"]["rows"] = [row for row in rows if row["name"] != "Wartung"]
        kimai.restore(state)
    mapped(operator, "Anfahrt", "Consulting")  # Whatever sets a mapping reads both systems.
    (gone,) = operator.get(ACTIVITIES, params={"known": False}).json()["items"]
    assert (gone["zammad"], gone["kimai"]) == ("Wartung", None)
    assert operator.get(ACTIVITIES).json()["items"][0] == gone
    assert operator.get(ACTIVITIES, params={"known": True}).json()["total"] == 2


def test_keys_name_nobody(operator: httpx.Client) -> None:
    row = mapped(operator, "tim.reuter@nordlicht-it.example", "anna.berger", "users")
    assert row["email"] == "tim.reuter@nordlicht-it.example"
    assert "reuter" not in row["key"]
    assert operator.get(f"{PATH}/users/{row['key']}").json() == row


def test_two_agents_are_one_user_only_where_that_is_confirmed(operator: httpx.Client) -> None:
    wanted = {"zammad": "Tim Reuter", "kimai": "anna.berger"}
    told = "column kimai: anna.berger (id 2) would get the time of tim.reuter@nordlicht-it.example (id 22) and of Anna"
    refused(operator.post(f"{PATH}/users", json=wanted), 422, told)
    content = HEADER + "activity,Wartung,Wartung\nuser,Tim Reuter,anna.berger\n"
    (problem,) = upload(operator, content, dry_run=True).json()["problems"]
    assert (problem["line"], problem["column"], problem["text"][:20]) == (3, "kimai", "Line 3, column kimai")
    refused(upload(operator, content), 422, "Line 3, column kimai")
    assert operator.get(f"{PATH}/users").json()["total"] == operator.get(ACTIVITIES).json()["total"] == 0
    assert operator.post(f"{PATH}/users", json={**wanted, "shared": True}).status_code == 201
    assert upload(operator, content).json()["new"] == 1


def test_what_is_mapped_already_is_not_mapped_again_by_mistake(operator: httpx.Client) -> None:
    row = mapped(operator, "Beratung", "Consulting")
    again = operator.post(ACTIVITIES, json={"zammad": "Beratung", "kimai": "Wartung"})
    refused(again, 409, "'Beratung' is mapped already")
    assert operator.get(f"{ACTIVITIES}/{row['key']}").json() == row


def test_of_two_people_who_change_one_mapping_the_second_is_told(web: Web, as_role: AsRole) -> None:
    first, second = as_role("operator"), as_role("admin")
    row = mapped(first, "Beratung", "Consulting")
    url = f"{ACTIVITIES}/{row['key']}"
    assert first.put(url, json={"kimai": "Wartung", "seen": row["updated_at"]}).status_code == 200
    late = second.put(url, json={"kimai": "Sonstiges", "seen": row["updated_at"]})
    refused(late, 409, "this mapping was changed meanwhile, to Wartung.")
    assert first.get(url).json()["kimai"] == "Wartung"
    assert web.rows("SELECT count(*) FROM sync.audit_logs WHERE event = 'mapping.set'") == [(2,)]


def test_a_mapping_that_somebody_deleted_meanwhile_does_not_come_back(operator: httpx.Client) -> None:
    row = mapped(operator, "Beratung", "Consulting")
    url = f"{ACTIVITIES}/{row['key']}"
    operator.delete(url)
    refused(operator.put(url, json={"kimai": "Wartung"}), 404, "The activity mapping")


@pytest.mark.parametrize(
    ("zammad", "kimai", "part"),
    [
        ("Beratung", "Reise", "column kimai: no activity in Kimai fits 'Reise'; the nearest:"),
        ("Segeln", "Consulting", "column zammad: no activity type in Zammad fits 'Segeln'; the nearest:"),
        ("=1+1", "\u0000", "column zammad: no activity type"),
    ],
)
def test_a_value_that_fits_nothing_is_named_with_what_comes_near(
    operator: httpx.Client, zammad: str, kimai: str, part: str
) -> None:
    refused(operator.post(ACTIVITIES, json={"zammad": zammad, "kimai": kimai}), 422, part)


def test_a_body_with_more_fields_is_refused(operator: httpx.Client) -> None:
    body = {"zammad": "Beratung", "kimai": "Consulting", "updated_by": "somebody"}
    refused(operator.post(ACTIVITIES, json=body), 422, "updated_by")


# Files


def test_a_dry_run_tells_what_would_change_and_changes_nothing(web: Web, operator: httpx.Client) -> None:
    told = upload(operator, demo_mappings_csv(), dry_run=True).json()
    assert (told["dry_run"], told["new"], told["problems"]) == (True, 7, [])
    assert operator.get(ACTIVITIES).json()["total"] == 0
    assert web.rows("SELECT count(*) FROM sync.audit_logs WHERE event LIKE 'mapping.%'") == [(0,)]
    assert upload(operator, demo_mappings_csv()).json()["new"] == 7


def test_a_dry_run_names_every_bad_line(operator: httpx.Client) -> None:
    content = (
        HEADER + "activity,Beratung,Consulting\n"
        "activity,Anfahrt,Reise\n"
        "user,x@y.example,anna.berger\n"
        "projekt,1,2\n"
        "activity,Wartung\n"
        "activity,Beratung,Wartung\n"
        'customer,"Meyer,new\n'
    )
    told = upload(operator, content, dry_run=True)
    assert told.status_code == 200
    problems = told.json()["problems"]
    assert [(row["line"], row["column"], row["value"]) for row in problems] == [
        (3, "kimai", "Reise"),
        (4, "zammad", "x@y.example"),
        (5, "kind", "projekt"),
        (6, "", ""),
        (7, "kimai", "Wartung"),
        (8, "", 'customer,"Meyer,new'),
    ]
    assert problems[0]["text"].startswith("Line 3, column kimai: no activity in Kimai fits 'Reise'; the nearest: ")
    assert problems[4]["text"] == "Lines 2 and 7 map 'Beratung' differently: keep one of them."
    assert told.json()["changes"] == []


def test_an_import_with_a_bad_line_changes_nothing_and_names_all(operator: httpx.Client) -> None:
    content = HEADER + "activity,Beratung,Consulting\nactivity,Anfahrt,Reise\nactivity,Segeln,Consulting\n"
    answer = upload(operator, content)
    refused(answer, 422, "Line 3, column kimai")
    assert "Line 4, column zammad" in answer.json()["detail"]
    assert operator.get(ACTIVITIES).json()["total"] == 0


def test_a_file_may_come_in_a_form(operator: httpx.Client) -> None:
    form = {"file": ("mappings.csv", demo_mappings_csv().encode(), "text/csv")}
    assert operator.post(f"{PATH}/import", files=form).json()["new"] == 7


@pytest.mark.parametrize(
    ("headers", "content", "status", "part"),
    [
        ({"content-type": "application/json"}, b"{}", 415, "text/csv"),
        ({"content-type": "multipart/form-data"}, b"x", 422, "form cannot be read"),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 422, "no such file"),
        (CSV, b"x" * (SIZE_LIMIT + 20_000), 413, "5 MB"),
        (CSV, b"x" * (SIZE_LIMIT + 1), 422, "larger than 5 MB"),
        (CSV, b"\xff\xfa", 422, "not UTF-8 in line 1"),
        (CSV, b"", 422, "The file is empty"),
    ],
)
def test_a_body_that_is_no_file_of_mappings_gets_one_sentence(
    operator: httpx.Client, headers: dict[str, str], content: bytes, status: int, part: str
) -> None:
    refused(operator.post(f"{PATH}/import", content=content, headers=headers), status, part)


def test_an_export_runs_no_formula_and_is_its_own_import(operator: httpx.Client, pristine: SandboxProcess) -> None:
    names = {"Beratung": "=cmd|' /C calc'!A0", "Wartung": "+1", "Anfahrt": "@SUM(1)", "Remote-Support": "-2"}
    with SandboxControl(pristine.zammad_url) as zammad:
        state = zammad.state()
        for row in state["state"]["types"]:
            row["name"] = names.get(row["name"], row["name"])
        zammad.restore(state)
    for name in names.values():
        mapped(operator, name, "Consulting")
    operator.post(ACTIVITIES, json={"zammad": "-", "kimai": "Wartung"})
    operator.post(f"{PATH}/customers", json={"zammad": "-", "kimai": "new"})
    exported = operator.get(f"{PATH}/export")
    assert exported.headers["content-type"].startswith("text/csv")
    assert "attachment" in exported.headers["content-disposition"]
    assert exported.text.startswith("kind,zammad,kimai,zammad_name,kimai_name\n")
    assert {line.split(",")[3].strip('"')[:2] for line in exported.text.splitlines()[1:]} == {
        "'=",
        "'+",
        "'@",
        "'-",
        "(n",
    }
    german = operator.get(f"{PATH}/export", params={"csv_dialect": "excel"}).content
    assert german.startswith(b"\xef\xbb\xbfkind;zammad;kimai;")
    assert upload(operator, german).json()["unchanged"] == 6
    again = upload(operator, exported.content).json()
    assert (again["unchanged"], again["changes"]) == (6, [])


def test_viewers_read_and_operators_map(as_role: AsRole) -> None:
    viewer = as_role("viewer")
    for path in (ACTIVITIES, f"{PATH}/unmapped", f"{PATH}/export"):
        assert viewer.get(path).status_code == 200
    refused(viewer.post(ACTIVITIES, json={"zammad": "-", "kimai": "Wartung"}), 403, "needs the role operator")
    refused(upload(viewer, HEADER, dry_run=True), 403, "needs the role operator")
    refused(viewer.put(f"{ACTIVITIES}/1", json={"kimai": "Wartung"}), 403, "needs the role operator")
    refused(viewer.delete(f"{ACTIVITIES}/1"), 403, "needs the role operator")


def test_every_change_is_audited_with_its_author(web: Web, operator: httpx.Client) -> None:
    row = mapped(operator, "tim.reuter@nordlicht-it.example", "anna.berger", "users")
    operator.delete(f"{PATH}/users/{row['key']}")
    query = "SELECT event, actor, subject FROM sync.audit_logs WHERE event LIKE 'mapping.%' ORDER BY id"
    (made, deleted) = web.rows(query)
    assert (made[0], deleted[0]) == ("mapping.set", "mapping.deleted")
    assert made[1] == deleted[1] != ""
    assert made[2] == deleted[2] == "mapping:user"
