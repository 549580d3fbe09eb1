"""Through the one door: without a session nobody gets anything of Dagster's, and each role gets what is its own."""

import base64
import secrets
import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest

from zk_pipeline_tests.deploy.network import HOST
from zk_pipeline_tests.deploy.stack import Stack

pytestmark = pytest.mark.timeout(600)

DAGSTER_PATHS = (
    "/dagster",
    "/dagster/",
    "/dagster/server_info",
    "/dagster/dagit_info",
    "/dagster/graphql",
    "/dagster/graphiql",
    "/dagster/locations/zk_pipeline",
    "/dagster/runs",
    "/dagster/assets",
    "/dagster/logs/any/stdout",
    "/dagster/download_debug/any",
    "/dagster/notebook",
    "/dagster/_next/static/any.js",
    "/dagster/../dagster/graphql",
    "/DAGSTER/graphql",
    "//dagster/graphql",
    "/%64agster/graphql",
)
A_PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
"""What a browser says when somebody opens a page."""

LAUNCH = {
    "query": "mutation ($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename } }",
    "variables": {
        "p": {
            "selector": {
                "repositoryLocationName": "zk_pipeline",
                "repositoryName": "__repository__",
                "jobName": "plan",
                "assetSelection": [{"path": ["not", "there"]}],
            }
        }
    },
}


@pytest.fixture
def stranger(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
@pytest.mark.parametrize("path", DAGSTER_PATHS)
def test_strangers_get_nothing_from_any_path_of_dagster(stranger: httpx.Client, method: str, path: str):
    answer = stranger.request(method, path)
    assert answer.status_code in {400, 401, 404, 405}
    assert "dagster_webserver_version" not in answer.text


@pytest.mark.parametrize("path", DAGSTER_PATHS)
def test_who_opens_a_page_of_dagsters_without_a_session_is_sent_to_sign_in(stranger: httpx.Client, path: str):
    answer = stranger.get(path, headers=A_PAGE)
    is_dagsters = path.startswith(("/dagster", "/%64agster"))
    assert answer.status_code == (303 if is_dagsters else 404)
    assert answer.headers.get("location", "/sign-in?next=").startswith("/sign-in?next=")


def test_the_socket_of_dagster_is_closed_to_strangers(stack: Stack):
    assert handshake(stack, {}).startswith("HTTP/1.1 403")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_polls_of_a_page_whose_session_ended_are_refused_and_not_sent_on(stranger: httpx.Client, method: str):
    answer = stranger.request(method, "/dagster/graphql", headers={"accept": "*/*"})
    assert answer.status_code == 401
    assert "location" not in answer.headers


def test_the_socket_opens_for_our_own_pages_only(stack: Stack):
    with stack.signed_in("operator") as operator:
        cookies = "; ".join(f"{name}={value}" for name, value in operator.cookies.items())
        ours = handshake(stack, {"Cookie": cookies, "Origin": stack.url})
        others = handshake(stack, {"Cookie": cookies, "Origin": "https://elsewhere.example"})
    assert ours.startswith("HTTP/1.1 101")
    assert others.startswith("HTTP/1.1 403")


def test_operators_launch(stack: Stack):
    with stack.signed_in("operator") as operator:
        told = operator.post("/dagster/graphql", json=LAUNCH).json()
    assert told["data"]["launchRun"]["__typename"] == "InvalidSubsetError"


def test_viewers_look_and_launch_nothing(stack: Stack):
    with stack.signed_in("viewer") as viewer:
        assert viewer.get("/dagster/server_info").status_code == 200
        told = viewer.post("/dagster/graphql", json=LAUNCH).json()
    assert "needs the role operator" in told["data"]["launchRun"]["message"]


def test_another_site_cannot_use_dagster_in_somebodys_name(stack: Stack):
    with stack.signed_in("operator") as operator:
        elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example"}
        answer = operator.post("/dagster/graphql", json=LAUNCH, headers=elsewhere)
    assert answer.status_code == 403


def test_a_session_that_ended_opens_nothing(stack: Stack):
    with stack.signed_in("operator") as operator:
        kept = {"cookie": "; ".join(f"{name}={value}" for name, value in operator.cookies.items())}
        operator.post("/api/v1/auth/logout").raise_for_status()
    with stack.client(**kept) as stolen:
        answer = stolen.get("/dagster/server_info")
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/metrics", "/api/health"])
def test_what_is_for_the_machines_inside_is_not_there_outside(stranger: httpx.Client, path: str):
    assert stranger.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/dashboard", "/reconcile", "/api/docs", "/api/openapi.json", "/_nicegui/x"])
def test_strangers_get_no_page_but_the_sign_in(stranger: httpx.Client, path: str):
    assert stranger.get(path, headers=A_PAGE).status_code in {303, 401, 404}
    assert stranger.get(path).status_code in {303, 401, 404}


def test_strangers_see_the_sign_in(stranger: httpx.Client):
    answer = stranger.get("/sign-in")
    assert answer.status_code == 200
    assert "password" in answer.text


@pytest.mark.parametrize("path", ["/x%0d%0aSet-Cookie:%20a=b", "/dagster/%0D%0ASet-Cookie:%20a=b%0d%0a%0d%0a<b>"])
def test_an_address_with_ends_of_lines_makes_no_headers(stack: Stack, path: str):
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}:{stack.port}", "Accept: text/html", "Connection: close"]
    answer = raw(stack, lines)
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(("HTTP/1.1 303", "HTTP/1.1 404"))
    assert "Set-Cookie" not in [line.partition(":")[0] for line in head.splitlines()]
    assert "content-type: application/json" in head.lower() or "<b>" not in body


@pytest.mark.parametrize("target", ["/reconcile?reason=billed&page=2", "/dagster/runs?q=a%26b&cursor=x%2Fy"])
def test_who_renews_the_session_comes_back_to_the_whole_address(stack: Stack, target: str):
    with stack.signed_in("viewer") as viewer:
        assert viewer.get("/renew", params={"next": target}).headers["location"] == target
        assert viewer.get("/api/v1/auth/me").status_code == 200


def test_webhooks_come_through_and_are_verified(stranger: httpx.Client):
    answer = stranger.post("/api/v1/webhooks/zammad", content=b"{}", headers={"content-type": "application/json"})
    assert answer.status_code in {401, 403, 404}
    assert answer.json()["detail"]


def test_the_api_answers_strangers_in_its_own_form(stranger: httpx.Client):
    answer = stranger.get("/api/v1/kpi")
    assert answer.status_code == 401
    assert answer.json()["status_code"] == 401


def test_an_empty_volume_is_all_that_the_stack_needs(stack: Stack):
    with stack.signed_in("viewer") as viewer:
        figures = viewer.get("/api/v1/kpi")
        pages = viewer.get("/dagster/server_info")
    assert (figures.status_code, pages.status_code) == (200, 200)


@pytest.mark.parametrize("host", [None, "evil.example", "evil.example:80"])
def test_plain_http_is_sent_to_tls_under_our_own_name(stack: Stack, host: str | None):
    headers = {} if host is None else {"host": host}
    answer = httpx.get(f"{stack.plain_url}/dashboard?a=b", headers=headers, timeout=120, trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (308, f"{stack.url}/dashboard?a=b")


@pytest.mark.parametrize(
    "target", ["http://evil.example/x", "http://evil.example", "//evil.example/x", "@evil.example"]
)
def test_no_form_of_a_request_is_sent_elsewhere(stack: Stack, target: str):
    host, port = stack.plain_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(f"GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
        answer = plain.makefile("rb").read().decode()
    locations = [line.split(": ", 1)[1] for line in answer.splitlines() if line.lower().startswith("location:")]
    assert locations or answer.startswith("HTTP/1.1 400")
    assert all(httpx.URL(each).netloc == httpx.URL(stack.url).netloc for each in locations)


def agreed(stack: Stack, ciphers: str) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with (
        socket.create_connection((HOST, stack.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as wrapped,
    ):
        chosen = wrapped.cipher()
    return chosen[0] if chosen else ""


@pytest.mark.parametrize("ciphers", ["kRSA", "AES256-GCM-SHA384", "AES128-SHA", "ECDHE-RSA-AES128-SHA", "DHE"])
def test_tls_takes_no_static_rsa_and_no_old_encryption(stack: Stack, ciphers: str):
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        agreed(stack, ciphers)


def test_tls_1_2_works_with_forward_secrecy(stack: Stack):
    assert agreed(stack, "ECDHE+AESGCM").startswith("ECDHE-RSA-AES")


def test_answers_carry_the_headers_that_browsers_obey(stranger: httpx.Client):
    headers = stranger.get("/sign-in").headers
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "server" not in headers or "/" not in headers["server"]


def test_a_program_without_tls_is_not_led_there_but_refused(stack: Stack):
    assert httpx.get(f"{stack.plain_url}/api/v1/kpi", timeout=120, trust_env=False).status_code == 403


def test_a_body_that_is_too_large_is_refused_at_the_door(stranger: httpx.Client):
    assert stranger.post("/api/v1/webhooks/zammad", content=b"x" * 7_000_000).status_code == 413


def test_whoever_renews_keeps_nobody_at_the_same_address_from_signing_in(stranger: httpx.Client):
    renewed = {stranger.get("/renew", params={"next": "/dagster"}).status_code for _ in range(100)}
    assert renewed == {303, 429}
    assert stranger.post("/sign-in", data={"email": "nobody@example.com"}).status_code == 403


def test_too_many_attempts_to_sign_in_are_refused(stranger: httpx.Client):
    body = {"email": "nobody@example.com", "password": "wrong-password"}
    statuses = {stranger.post("/api/v1/auth/login", json=body).status_code for _ in range(40)}
    assert 429 in statuses


def handshake(stack: Stack, headers: dict[str, str]) -> str:
    """The status line that a websocket's opening handshake is answered with."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [
        "GET /dagster/graphql HTTP/1.1",
        f"Host: {HOST}:{stack.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: graphql-ws",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return raw(stack, lines).partition("\r\n")[0]


def raw(stack: Stack, lines: list[str]) -> str:
    """What the door answers to a request with just these lines, up to the first pause."""
    with (
        socket.create_connection((HOST, stack.port), 20) as plain,
        stack.trust.wrap_socket(plain, server_hostname=HOST) as secure,
    ):
        secure.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return secure.recv(4000).decode()
