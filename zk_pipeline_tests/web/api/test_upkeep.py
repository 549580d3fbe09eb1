"""`/api/v1/alerts`, `/doctor`, `/about` and invitations: what admins look after."""

import httpx
import pytest
from pydantic import SecretStr

from zk_pipeline import __version__
from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline_tests.observe.alerts.receiver import TOKEN, open_receiver
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web, refused, token_of, web_app
from zk_sandbox.server import SandboxProcess

BERTA = {"email": "berta@example.com", "role": "operator", "name": "Berta"}


def test_alerts_are_tried_and_their_addresses_stay_secret(database: Database) -> None:
    with open_receiver() as receiver:
        urls = SecretStr(f"{receiver.url},json://127.0.0.1:9/{TOKEN}")
        settings = Settings(_env_file=None, alert_urls=urls)  # pyright: ignore[reportCallIssue]
        with web_app(database, settings) as web:
            bearer = {"authorization": f"Bearer {token_of(database, Role.ADMIN)}"}
            listed = web.client.get("/api/v1/alerts", headers=bearer)
            tried = web.client.post("/api/v1/alerts/test", headers=bearer)
    assert [row["kind"] for row in listed.json()["items"]] == ["json", "json"]
    assert [(row["position"], bool(row["problem"])) for row in tried.json()] == [(1, False), (2, True)]
    assert receiver.titles == ["zk_pipeline: test alert"]
    assert TOKEN not in listed.text + tried.text


def test_without_an_address_there_is_nothing_to_try(admin: httpx.Client) -> None:
    assert admin.get("/api/v1/alerts").json()["total"] == 0
    refused(admin.post("/api/v1/alerts/test"), 409, "Set ZK_ALERT_URLS")


def test_the_doctor_examines_the_installation(
    admin: httpx.Client, ids: dict[str, int], systems: SandboxProcess
) -> None:
    del ids, systems
    report = admin.post("/api/v1/doctor").json()
    names = {section["name"] for section in report["sections"]}
    assert {"Zammad", "Kimai", "Mappings", "Settings"} <= names
    zammad = next(section for section in report["sections"] if section["name"] == "Zammad")
    assert zammad["findings"]
    assert all(finding["text"].endswith(".") for finding in zammad["findings"])
    assert sum(report["counts"].values()) == sum(len(section["findings"]) for section in report["sections"])


def test_every_component_names_its_version_and_licence(viewer: httpx.Client) -> None:
    about = viewer.get("/api/v1/about").json()
    assert (about["version"], about["licence"]) == (__version__, "MIT")
    assert {"fastapi", "nicegui", "dagster"} <= {row["name"].lower() for row in about["components"]}
    assert [row["name"] for row in about["components"] if not row["licence"]] == []


@pytest.mark.parametrize(("method", "path"), [("GET", "alerts"), ("POST", "alerts/test"), ("POST", "doctor")])
def test_only_admins_look_after_the_installation(as_role: AsRole, method: str, path: str) -> None:
    refused(as_role("operator").request(method, f"/api/v1/{path}"), 403, "admin")


def test_who_is_invited_signs_in_with_a_password_that_is_told_once(web: Web, in_session: AsRole) -> None:
    admin = in_session("admin")
    invited = admin.post("/api/v1/users/invitations", json=BERTA)
    assert invited.status_code == 201
    password = invited.json()["password"]
    given = {"email": BERTA["email"], "password": password}
    assert web.client.post("/api/v1/auth/login", json=given).json()["role"] == "operator"
    reset = admin.post(f"/api/v1/users/{invited.json()['id']}/password-reset").json()
    assert reset["password"] != password
    refused(web.client.post("/api/v1/auth/login", json=given), 401, "E-mail or password is wrong")
    again = {**given, "password": reset["password"]}
    assert web.client.post("/api/v1/auth/login", json=again).status_code == 200
    shown = admin.get(f"/api/v1/users/{invited.json()['id']}").json()
    assert "password" not in shown
    assert web.rows("SELECT count(*) FROM sync.audit_logs WHERE event = 'user.password_set'") == [(1,)]


def test_who_signs_in_at_the_provider_has_no_password_to_reset(in_session: AsRole) -> None:
    admin = in_session("admin")
    user = admin.post("/api/v1/users", json=BERTA).json()["id"]
    refused(admin.post(f"/api/v1/users/{user}/password-reset"), 422, "signs in at the identity provider")


def test_a_token_invites_nobody(admin: httpx.Client) -> None:
    assert admin.post("/api/v1/users/invitations", json=BERTA).status_code == 403
