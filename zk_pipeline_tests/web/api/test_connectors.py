"""`/api/v1/connectors`: tokens go in and never come out, and no address of a metadata service is called."""

from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from zk_pipeline.store.raw_tables import time_accountings
from zk_pipeline.store.tables import connectors as table
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web, refused
from zk_sandbox.server import SandboxProcess

PATH = "/api/v1/connectors"
TOKEN = "secret-token-4711"
NEW = {"name": "spare", "kind": "zammad", "base_url": "https://spare.example.com", "token": TOKEN}
FORBIDDEN_HOSTS = (
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "[fe80::1]",
    "metadata.google.internal",
)
FORBIDDEN_SCHEMES = ("file:///etc/passwd", "gopher://x.example.com", "ftp://x.example.com", "javascript:1")
AUDIT = "SELECT event, actor, subject, detail::text FROM sync.audit_logs JOIN sync.audit_details USING (id) ORDER BY id"


def created(admin: httpx.Client, **changes: Any) -> dict[str, Any]:
    answer = admin.post(PATH, json={**NEW, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


def of_connectors(web: Web) -> list[tuple[str, str, str, str]]:
    return [row for row in web.rows(AUDIT) if row[0].startswith("connector.")]


def test_a_connector_is_stored_listed_and_found(admin: httpx.Client, viewer: httpx.Client) -> None:
    made = created(admin)
    assert (made["role"], made["active"], made["has_token"]) == ("source", False, True)
    assert viewer.get(f"{PATH}/{made['id']}").json() == made
    listed = viewer.get(PATH).json()
    assert made in listed["items"]
    assert listed["total"] == 4


def test_the_first_connector_of_its_role_is_active_at_once(web: Web, admin: httpx.Client) -> None:
    with web.database.transaction() as connection:
        connection.execute(table.delete())
    assert created(admin)["active"] is True


def test_no_other_source_is_used_where_there_are_bookings_of_one(web: Web, admin: httpx.Client) -> None:
    spare = created(admin)
    with web.database.transaction() as connection:
        connection.execute(
            insert(time_accountings).values(
                connector="zammad",
                id=6,
                ticket_id=50,
                agent_id=3,
                sweep_id=1,
                units=15,
                created_at=datetime(2025, 8, 16, 8, tzinfo=UTC),
                updated_at=datetime(2025, 8, 16, 8, tzinfo=UTC),
                work_day=date(2025, 8, 16),
                raw={},
            )
        )
    moved = {"base_url": "https://spare.example.com", "token": "another", "active": True}
    refused(admin.patch(f"{PATH}/{spare['id']}", json={"active": True}), 409, "there are bookings of another system")
    refused(admin.patch(f"{PATH}/{spare['id']}", json=moved), 409, "there are bookings of another system")
    assert admin.get(f"{PATH}/{spare['id']}").json() == spare
    (zammad,) = (row for row in admin.get(PATH).json()["items"] if row["name"] == "zammad")
    assert admin.patch(f"{PATH}/{zammad['id']}", json={"active": False}).json()["active"] is False
    assert created(admin, name="third")["active"] is False
    assert admin.patch(f"{PATH}/{zammad['id']}", json={"active": True}).json()["active"] is True


def test_a_list_has_pages(viewer: httpx.Client) -> None:
    page = viewer.get(PATH, params={"page": 2, "size": 2}).json()
    assert ([row["name"] for row in page["items"]], page["total"], page["pages"]) == (["kimai"], 3, 2)


def test_no_answer_and_no_audit_row_holds_a_token(web: Web, admin: httpx.Client) -> None:
    made = created(admin)
    url = f"{PATH}/{made['id']}"
    answers = [
        admin.post(PATH, json=NEW),
        admin.patch(url, json={"token": f"{TOKEN} x"}),
        admin.patch(url, json={"base_url": "http://127.0.0.1:9", "token": f"{TOKEN}0"}),
        admin.patch(url, json={"token": [TOKEN]}),
        admin.get(url),
        admin.get(PATH),
        admin.post(f"{url}/test"),
        admin.get(f"{url}/activities"),
        admin.delete(url),
    ]
    assert [answer.status_code for answer in answers] == [409, 422, 200, 422, 200, 200, 200, 502, 204]
    assert all(TOKEN not in answer.text for answer in answers)
    assert all(TOKEN not in " ".join(row) for row in of_connectors(web))
    assert all(TOKEN not in value for (value,) in web.rows("SELECT token_encrypted FROM sync.connectors"))


def test_a_new_address_needs_the_token_again(web: Web, admin: httpx.Client) -> None:
    made = created(admin)
    refused(admin.patch(f"{PATH}/{made['id']}", json={"base_url": "https://evil.example.com"}), 422, "token again")
    assert admin.get(f"{PATH}/{made['id']}").json() == made
    moved = admin.patch(f"{PATH}/{made['id']}", json={"base_url": "https://new.example.com/", "token": "t2"}).json()
    assert moved["base_url"] == "https://new.example.com"
    assert [row[0] for row in of_connectors(web)] == ["connector.created", "connector.changed"]


def test_the_same_address_in_other_words_needs_no_token(web: Web, admin: httpx.Client) -> None:
    made = created(admin)
    same = admin.patch(f"{PATH}/{made['id']}", json={"base_url": f"{NEW['base_url']}/api/v1/"})
    assert same.json() == made
    assert [row[0] for row in of_connectors(web)] == ["connector.created"]


def test_every_change_is_audited_with_who_made_it_and_which_fields(web: Web, admin: httpx.Client) -> None:
    made = created(admin)
    admin.patch(f"{PATH}/{made['id']}", json={"token": "another"})
    admin.patch(f"{PATH}/{made['id']}", json={"active": True})
    admin.patch(f"{PATH}/{made['id']}", json={"active": False})
    admin.delete(f"{PATH}/{made['id']}")
    rows = of_connectors(web)
    assert [row[0].partition(".")[2] for row in rows] == ["created", "changed", "activated", "deactivated", "deleted"]
    assert {row[1] for row in rows} == {"user:1"}
    assert {row[2] for row in rows} == {"connector:spare"}
    assert '"fields": ["token"]' in rows[1][3]


def test_one_connector_of_a_role_is_active_at_most(admin: httpx.Client) -> None:
    made = created(admin)
    admin.patch(f"{PATH}/{made['id']}", json={"active": True})
    rows = admin.get(PATH).json()["items"]
    assert [row["name"] for row in rows if row["active"]] == ["kimai", "spare"]


@pytest.mark.parametrize("fixed", ["kind", "role", "name", "id", "has_token"])
def test_what_is_fixed_cannot_be_changed(admin: httpx.Client, fixed: str) -> None:
    made = created(admin)
    refused(admin.patch(f"{PATH}/{made['id']}", json={fixed: "kimai"}), 422, fixed)


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_an_address_of_a_metadata_service_is_neither_stored_nor_taken_as_a_change(
    web: Web, admin: httpx.Client, host: str
) -> None:
    refused(admin.post(PATH, json={**NEW, "base_url": f"http://{host}/latest"}), 422, "forbidden")
    made = created(admin)
    change = {"base_url": f"http://{host}/", "token": TOKEN}
    refused(admin.patch(f"{PATH}/{made['id']}", json=change), 422, "forbidden")
    assert web.rows("SELECT base_url FROM sync.connectors WHERE name = 'spare'") == [("https://spare.example.com",)]


@pytest.mark.parametrize("url", FORBIDDEN_SCHEMES)
def test_only_http_and_https_are_taken(admin: httpx.Client, url: str) -> None:
    sentence = "The address of spare must start with https:// or http:// and name a host: "
    refused(admin.post(PATH, json={**NEW, "base_url": url}), 422, sentence)


@pytest.mark.parametrize(
    ("field", "value", "begin"),
    [
        ("name", "Spare 1", "name: 'Spare 1' cannot be used in a marker"),
        ("kind", "redmine", "kind: 'redmine' is not installed. Choose one of freshdesk, "),
        ("token", "two words", "The token of the connector 'spare' contains spaces"),
        ("base_url", "https://me:hunter2@x.example.com", "The address of spare contains credentials. Remove them"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_the_remedy(
    admin: httpx.Client, field: str, value: str, begin: str
) -> None:
    answer = admin.post(PATH, json={**NEW, field: value})
    refused(answer, 422, begin)
    assert answer.json()["detail"].startswith(begin)
    assert "hunter2" not in answer.text


def test_a_name_that_is_taken_is_refused(admin: httpx.Client) -> None:
    refused(admin.post(PATH, json={**NEW, "name": "kimai"}), 409, "the connector 'kimai' already exists")


def test_a_connector_that_does_not_exist_is_named(admin: httpx.Client) -> None:
    for answer in (admin.get(f"{PATH}/99"), admin.post(f"{PATH}/99/test"), admin.delete(f"{PATH}/99")):
        refused(answer, 404, "Connector 99 does not exist.")


def test_a_connector_that_something_depends_on_is_deactivated_rather_than_deleted(
    web: Web, admin: httpx.Client
) -> None:
    (kimai,) = (row for row in admin.get(PATH).json()["items"] if row["name"] == "kimai")
    with web.database.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO sync.user_mappings VALUES ('a@example.com', 1)")
    refused(admin.delete(f"{PATH}/{kimai['id']}"), 409, "instead of deleting it: mappings depend on it.")
    assert admin.patch(f"{PATH}/{kimai['id']}", json={"active": False}).json()["active"] is False
    assert admin.delete(f"{PATH}/{kimai['id']}").status_code == 204


def test_a_test_tells_version_account_and_findings(ids: dict[str, int], admin: httpx.Client) -> None:
    zammad = admin.post(f"{PATH}/{ids['zammad']}/test").json()
    kimai = admin.post(f"{PATH}/{ids['kimai']}/test").json()
    assert zammad["ok"]
    assert kimai["ok"]
    assert kimai["version"]
    assert {finding["level"] for finding in zammad["findings"]} <= {"pass", "warn"}


def test_a_test_of_a_wrong_token_is_a_finding_with_a_remedy(ids: dict[str, int], admin: httpx.Client) -> None:
    admin.patch(f"{PATH}/{ids['zammad']}", json={"token": "wrong-token"})
    answer = admin.post(f"{PATH}/{ids['zammad']}/test")
    assert answer.status_code == 200
    found = answer.json()
    assert found["ok"] is False
    assert any(finding["level"] == "fail" and finding["remedy"] for finding in found["findings"])
    assert "wrong-token" not in answer.text


def test_activities_are_those_of_the_target_and_the_types_of_the_source(
    ids: dict[str, int], viewer: httpx.Client
) -> None:
    kimai = viewer.get(f"{PATH}/{ids['kimai']}/activities").json()
    zammad = viewer.get(f"{PATH}/{ids['zammad']}/activities").json()
    assert "Consulting" in {row["name"] for row in kimai["items"]}
    assert "Beratung" in {row["name"] for row in zammad["items"]}


def test_a_token_of_another_key_is_told_and_can_be_replaced(admin: httpx.Client, systems: SandboxProcess) -> None:
    (kimai,) = (row for row in admin.get(PATH).json()["items"] if row["name"] == "kimai")
    url = f"{PATH}/{kimai['id']}"
    assert admin.post(f"{url}/test").status_code == 409
    admin.patch(url, json={"base_url": systems.kimai_url, "token": systems.kimai_token})
    assert admin.post(f"{url}/test").json()["ok"] is True


def test_reading_is_for_everybody_and_changing_for_admins(ids: dict[str, int], as_role: AsRole) -> None:
    for role in ("viewer", "operator"):
        client = as_role(role)
        assert client.get(PATH).status_code == 200
        refused(client.post(PATH, json=NEW), 403, "needs the role admin")
        refused(client.patch(f"{PATH}/{ids['kimai']}", json={"active": False}), 403, "needs the role admin")
        refused(client.delete(f"{PATH}/{ids['kimai']}"), 403, "needs the role admin")
        refused(client.post(f"{PATH}/{ids['kimai']}/test"), 403, "needs the role admin")
