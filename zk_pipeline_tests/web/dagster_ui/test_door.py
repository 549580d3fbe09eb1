"""Dagster's web server is never bare: each attack as its attacker sends it, and what each role is shown."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from starlette.types import ASGIApp
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.dagster_server import DagsterServer, service_token
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.web.dagster_ui import middleware
from zk_pipeline_tests.web.conftest import TESTER, serving, web_app
from zk_pipeline_tests.web.dagster_ui.conftest import Ui, guarded
from zk_pipeline_tests.web.provider import CLIENT, SECRET, OidcProvider

LAUNCH = "mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename } }"
OURS = {"repositoryLocationName": "zk_pipeline", "repositoryName": "__repository__"}
UNDO = """mutation { launchRun(executionParams: {selector: {repositoryLocationName: "zk_pipeline",
  repositoryName: "__repository__", jobName: "undo"}, runConfigData: {}}) { __typename } }"""
PERMISSIONS = "{ permissions { permission value disabledReason } }"
A_PAGE = {"accept": "text/html,application/xhtml+xml"}
CROSS_SITE = {"origin": "https://evil.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}


def execution(job: str, *tags: tuple[str, str]) -> dict[str, Any]:
    listed = [{"key": key, "value": value} for key, value in tags]
    return {"selector": {**OURS, "jobName": job}, "executionMetadata": {"tags": listed}}


def reached(ui: Ui) -> list[str]:
    """What came through to Dagster."""
    return [scope["path"] for scope in ui.dagster.seen]


# ---- strangers


@pytest.mark.parametrize("path", ["/server_info", "/dagit_info", "/graphql", "/runs", "/logs/a/out", "/favicon.png"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "OPTIONS"])
def test_nothing_of_dagsters_is_there_without_credentials(ui: Ui, method: str, path: str) -> None:
    assert ui.client.request(method, path).status_code == 401
    assert reached(ui) == []


@pytest.mark.parametrize("path", ["/report_asset_materialization/sync/kimai_pushes", "/download_debug/1", "/notebook"])
def test_nor_are_its_other_ways_in(ui: Ui, path: str) -> None:
    assert ui.client.post(path, json={}).status_code == 401
    assert reached(ui) == []


def test_a_page_leads_to_the_sign_in_and_back(ui: Ui) -> None:
    answer = ui.client.get("/runs?q=a%26b", headers=A_PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/runs%3Fq%3Da%2526b")
    with ui.browser(Role.VIEWER) as browser:
        assert browser.get(answer.headers["location"]).headers["location"] == "/runs?q=a%26b"
        assert "Dagster" in browser.get("/runs?q=a%26b", headers=A_PAGE).text


def test_tokens_of_nobody_open_nothing(ui: Ui) -> None:
    now = datetime.now(UTC)
    claims = {"iss": "zk_pipeline", "aud": "zk_pipeline:dagster", "iat": now, "exp": now + timedelta(minutes=1)}
    old = claims | {"iat": now - timedelta(hours=1), "exp": now - timedelta(minutes=5)}
    (key,) = ui.runtime.cipher.derived("zk_pipeline tokens of our own programs")
    for token in (
        "zk_made-up",
        service_token(TokenCipher(generate_key())),
        jwt.encode(claims, None, "none"),
        jwt.encode(old, key, "HS256"),
        jwt.encode(claims | {"aud": "zk_pipeline:access"}, key, "HS256"),
    ):
        assert ui.client.get("/server_info", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_that_it_answers_is_all_that_strangers_learn(ui: Ui) -> None:
    assert ui.client.get("/healthz").text == "ok"
    assert reached(ui) == []


def test_an_identity_provider_leads_back_to_the_page_of_dagsters_own_port(dagster: ASGIApp, database: Database) -> None:
    provider, key = (
        OidcProvider({"email": "a@example.com", "email_verified": True, "zk_role": "viewer"}),
        generate_key(),
    )
    with serving(provider.app()) as there:
        provider.url = str(there.base_url).rstrip("/")
        given = {"oidc_issuer": provider.url, "oidc_client_id": CLIENT, "oidc_client_secret": SecretStr(SECRET)}
        settings = Settings(_env_file=None, dagster_address="http://127.0.0.1:3999", **given)
        with web_app(database, settings, key) as web:
            settings = settings.model_copy(update={"public_url": str(web.client.base_url).rstrip("/")})
            runtime = Runtime(settings, database, TokenCipher(key))
            with serving(guarded(runtime, dagster)) as ui:
                left = ui.get("/sign-in/oidc?next=/runs?q%3Da")
                web.client.cookies.update(ui.cookies)  # As a browser does, which tells hosts apart and no ports.
                back = httpx.get(left.headers["location"], timeout=120, trust_env=False).headers["location"]
                page = web.client.get(back)
                assert 'content="0;url=http://127.0.0.1:3999/runs?q=a"' in page.text
                ui.cookies.update(web.client.cookies)
                assert ui.get("/server_info").status_code == 200


# ---- other sites, in the browser of somebody who is signed in


def test_an_image_of_another_site_starts_no_run(ui: Ui) -> None:
    image = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    with ui.browser(Role.ADMIN) as browser:
        for headers in (image, {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, {}):
            answer = browser.get(f"/graphql?query={quote(UNDO)}", headers=headers)
            assert answer.status_code in {403, 405}
    assert reached(ui) == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/graphql"]
)
def test_a_form_of_another_site_starts_no_run(ui: Ui, kind: str) -> None:
    with ui.browser(Role.ADMIN) as browser:
        body = json.dumps({"query": UNDO}).encode()
        theirs = browser.post("/graphql", content=body, headers={**CROSS_SITE, "content-type": kind})
        ours = browser.post(f"/graphql?query={quote(UNDO)}", content=body, headers={"content-type": kind})
    assert (theirs.status_code, ours.status_code) == (403, 415)
    assert reached(ui) == []


def test_json_of_another_site_or_of_another_port_starts_no_run(ui: Ui) -> None:
    with ui.browser(Role.ADMIN) as browser:
        for origin in ("https://evil.example", "http://127.0.0.1:1", "null"):
            headers = {"origin": origin, "sec-fetch-site": "same-site"}
            assert browser.post("/graphql", json={"query": UNDO}, headers=headers).status_code == 403
    assert reached(ui) == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "", "[::", "localhost@evil"]
)
def test_another_name_for_this_host_is_refused(ui: Ui, host: str) -> None:
    headers = {**ui.bearer(Role.ADMIN), "host": host, "origin": f"http://{host}"}
    answer = ui.client.post("/graphql", json={"query": "{ version }"}, headers=headers)
    assert answer.status_code in {400, 421}
    assert reached(ui) == []


@pytest.mark.parametrize("settings", [{"public_url": "https://zk.example.com"}], indirect=True)
def test_the_public_name_and_this_machines_own_are_known(ui: Ui) -> None:
    for host in ("zk.example.com", "localhost:3000", "[::1]:3000"):
        answer = ui.client.get("/server_info", headers={**ui.bearer(Role.VIEWER), "host": host})
        assert answer.status_code == 200


def test_answers_carry_the_headers_that_browsers_obey(ui: Ui) -> None:
    page = ui.client.get("/assets", headers=ui.bearer(Role.VIEWER))
    policy = page.headers["content-security-policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert nonce
    assert f'nonce="{nonce}"' in page.text
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    for answer in (page, ui.client.get("/server_info", headers=ui.bearer(Role.VIEWER)), ui.client.get("/runs")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_dagster_sees_neither_cookies_nor_tokens(ui: Ui) -> None:
    with ui.browser(Role.VIEWER) as browser:
        browser.get("/server_info")
    ui.client.get("/server_info", headers=ui.bearer(Role.VIEWER))
    assert len(ui.dagster.seen) == 2
    assert not {name for scope in ui.dagster.seen for name, _ in scope["headers"]} & {b"cookie", b"authorization"}


# ---- roles


@pytest.mark.parametrize(
    ("job", "tags"),
    [
        ("undo", ()),
        ("tag_billed", (("zk/month", "2025-08"),)),
        ("apply_retention", ()),
        ("rehearse_backup", ()),
        ("sync", (("zk/override-limits", "yes"),)),
        ("sync", (("zk/request", "x"),)),
    ],
)
def test_operators_reach_nothing_of_admins_and_are_told(ui: Ui, job: str, tags: tuple[tuple[str, str], ...]) -> None:
    told = ui.ask(Role.OPERATOR, LAUNCH, p=execution(job, *tags)).json()["data"]["launchRun"]
    assert told["__typename"] == "PythonError"
    assert "An admin does it in the console" in told["message"]
    assert reached(ui) == []


def test_what_an_operator_launches_comes_to_dagster_and_is_in_the_audit_trail(ui: Ui) -> None:
    answer = ui.ask(Role.OPERATOR, LAUNCH, p=execution("sync"))
    assert answer.json() == {"data": {"launchRun": {"__typename": "PipelineNotFoundError"}}}
    with ui.runtime.database.transaction() as connection:
        trail = connection.exec_driver_sql("SELECT event, actor, subject FROM sync.audit_logs ORDER BY id DESC").first()
    assert trail is not None
    assert (trail.event, trail.subject) == ("dagster.asked", "dagster:launchRun")
    assert trail.actor.startswith("user:")


def test_what_an_admin_launches_there_of_the_jobs_that_take_a_request_gets_one(ui: Ui) -> None:
    answer = ui.ask(Role.ADMIN, LAUNCH, p=execution("apply_retention"))
    assert answer.json() == {"data": {"launchRun": {"__typename": "PipelineNotFoundError"}}}
    with ui.runtime.database.transaction() as connection:
        (asked,) = connection.exec_driver_sql("SELECT actor, job, run_id FROM sync.run_requests")
    assert (asked.job, asked.run_id) == ("apply_retention", None)
    assert asked.actor.startswith("user:")


def test_viewers_launch_nothing(ui: Ui) -> None:
    told = ui.ask(Role.VIEWER, LAUNCH, p=execution("sync")).json()["data"]["launchRun"]
    assert "launchRun needs the role operator; you have viewer" in told["message"]
    assert ui.ask(Role.VIEWER, "{ version }").status_code == 200
    assert reached(ui) == ["/graphql"]


def test_assets_are_reported_by_admins_alone(ui: Ui) -> None:
    path = "/report_asset_materialization/sync/kimai_pushes"
    assert ui.client.post(path, json={}, headers=ui.bearer(Role.OPERATOR)).status_code == 403
    assert reached(ui) == []
    ui.client.post(path, json={}, headers=ui.bearer(Role.ADMIN))
    assert reached(ui) == [path]


@pytest.mark.parametrize("role", Role)
def test_dagsters_pages_offer_what_the_role_may_do(ui: Ui, role: Role) -> None:
    listed = ui.ask(role, PERMISSIONS).json()["data"]["permissions"]
    offered = {row["permission"] for row in listed if row["value"]}
    launching = {"launch_pipeline_execution", "launch_partition_backfill", "terminate_pipeline_execution"}
    assert (launching <= offered) == role.covers(Role.OPERATOR)
    assert ({"wipe_assets", "delete_pipeline_run", "edit_sensor"} <= offered) == (role is Role.ADMIN)
    assert role is not Role.VIEWER or not offered


def test_a_new_role_counts_at_once(ui: Ui) -> None:
    with ui.browser(Role.OPERATOR) as browser:
        asked = {"query": LAUNCH, "variables": {"p": execution("sync")}}
        assert "PipelineNotFoundError" in browser.post("/graphql", json=asked).text
        with ui.runtime.database.transaction() as connection:
            (user,) = users.list_users(connection, offset=0, limit=1)[0]
            users.change(connection, TESTER, user.id, role=Role.VIEWER)
        assert "needs the role" in browser.post("/graphql", json=asked).text


def test_our_own_programs_are_known_and_need_no_role(ui: Ui) -> None:
    assert DagsterServer(ui.url, ui.runtime.cipher).run_statuses(["1"]) == {}


def test_a_body_is_limited_and_must_be_json(ui: Ui) -> None:
    headers = {**ui.bearer(Role.VIEWER), "content-type": "application/json"}
    for body, status in ((b"x" * 1_000_001, 413), (b"{", 400), (b"[" * 100_000, 400), (b'"text"', 403)):
        assert ui.client.post("/graphql", content=body, headers=headers).status_code == status
    assert reached(ui) == []


def test_a_page_that_is_open_for_long_renews_its_session_by_what_it_asks(ui: Ui) -> None:
    with ui.browser(Role.VIEWER) as browser:
        with ui.runtime.database.transaction() as connection:
            connection.execute(text("UPDATE sync.sessions SET refreshed_at = now() - interval '11 minutes'"))
        asked = {"query": "{ version }"}
        theirs = browser.post("/graphql", json=asked, headers=CROSS_SITE)
        first = browser.post("/graphql", json=asked)
        cookie = browser.cookies["zk_session"]
        assert (theirs.status_code, first.status_code, first.headers["location"]) == (403, 307, "/graphql")
        assert browser.post("/graphql", json=asked).status_code == 200
        browser.post("/sign-out")
        browser.cookies.set("zk_session", cookie)
        assert browser.post("/graphql", json=asked).status_code == 401


# ---- the socket


def opened_at(address: str, headers: dict[str, str]) -> ClientConnection:
    """Dagster's socket at the address of its UI."""
    url = address.replace("http", "ws")
    return connect(f"{url}/graphql", additional_headers=headers, subprotocols=["graphql-ws"])  # type: ignore[list-item]


def opened(ui: Ui, headers: dict[str, str]) -> ClientConnection:
    return opened_at(ui.url, headers)


def is_refused(ui: Ui, headers: dict[str, str]) -> bool:
    with pytest.raises(InvalidStatus) as refusal, opened(ui, headers):
        pass
    return refusal.value.response.status_code == 403


def ends(socket: ClientConnection, text: str) -> bool:
    """Whether a socket is closed because of what is sent on it."""
    try:
        socket.send(text)
        socket.recv(10)
    except ConnectionClosed:
        return True
    return False


def cookies(browser: httpx.Client) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}


def test_the_socket_opens_for_our_own_pages_and_for_tokens_alone(ui: Ui) -> None:
    with ui.browser(Role.VIEWER) as browser:
        own = cookies(browser)
    assert is_refused(ui, {})
    assert is_refused(ui, {"origin": ui.url})
    assert is_refused(ui, own)
    assert is_refused(ui, {**own, "origin": "https://evil.example"})
    assert is_refused(ui, {**own, "origin": "http://evil.example", "host": "evil.example"})
    for headers in ({**own, "origin": ui.url}, ui.bearer(Role.VIEWER)):
        with opened(ui, headers) as socket:
            socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(socket.recv(10)) == {"type": "connection_ack"}


def test_the_socket_takes_subscriptions_alone(ui: Ui) -> None:
    with opened(ui, ui.bearer(Role.ADMIN)) as socket:
        socket.send(json.dumps({"type": "start", "id": "1", "payload": {"query": UNDO}}))
        told = json.loads(socket.recv(10))
        assert (told["type"], told["id"]) == ("error", "1")
        assert "only a subscription is taken" in told["payload"]["message"]
        query = 'subscription { pipelineRunLogs(runId: "1") { __typename } }'
        socket.send(json.dumps({"type": "start", "id": "2", "payload": {"query": query}}))
        told = json.loads(socket.recv(10))
        assert told["payload"]["data"]["pipelineRunLogs"]["__typename"] == "PipelineRunLogsSubscriptionFailure"


def test_the_socket_ends_with_the_session(ui: Ui, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "SECONDS_BETWEEN_LOOKS", 0.0)
    with ui.browser(Role.VIEWER) as browser, opened(ui, {**cookies(browser), "origin": ui.url}) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(10)) == {"type": "connection_ack"}
        browser.post("/sign-out")
        assert ends(socket, json.dumps({"type": "connection_init"}))


def test_what_is_no_json_ends_the_socket(ui: Ui) -> None:
    for sent in ("{", "[]", "[" * 100_000):
        with opened(ui, ui.bearer(Role.ADMIN)) as socket:
            assert ends(socket, sent)
