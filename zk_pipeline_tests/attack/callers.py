"""Attacks on the web app by whoever can send to it: strangers, people with too small a role, and leaked tokens."""

import contextlib
import json
import re
import socket
import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from zk_pipeline.connectors.zammad.signature import signature
from zk_pipeline.identity.actors import Role
from zk_pipeline.identity.throttle import MOST_OF_ACCOUNT
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.web.app import create_app
from zk_pipeline.web.limits import LIMIT, SECONDS_FOR_HEADERS
from zk_pipeline_tests.attack.book import Try, answered, attack
from zk_pipeline_tests.attack.place import Place
from zk_pipeline_tests.web.api.test_connectors import FORBIDDEN_HOSTS, FORBIDDEN_SCHEMES, NEW
from zk_pipeline_tests.web.api.test_connectors import PATH as CONNECTORS
from zk_pipeline_tests.web.conftest import PATH as WEBHOOK
from zk_pipeline_tests.web.conftest import PAYLOAD, SECRET
from zk_pipeline_tests.web.signing_in import LOGIN, ME, PASSWORD
from zk_pipeline_tests.web.test_access import ANY, needed, routes_of
from zk_pipeline_tests.web.test_bodies import unannounced
from zk_pipeline_tests.web.test_half_open import BEGUN
from zk_pipeline_tests.web.test_users_and_tokens import TOKENS, USERS, wanted

JSON = {"content-type": "application/json"}
INJECTIONS = (
    "' OR 1=1 --",
    "'; DROP TABLE sync.users; --",
    "%",
    "\\",
    "$(id)",
    "{{7*7}}",
    "${7*7}",
    "../../etc/passwd",
)
TRAVERSALS = (
    "/console/assets/../../../settings.py",
    "/console/assets/..%2f..%2f..%2fsettings.py",
    "/console/assets/%2e%2e/%2e%2e/%2e%2e/settings.py",
    "/console/assets//etc/passwd",
    "/_nicegui/../../etc/passwd",
    "/.env",
    "/.git/config",
    "/encryption.key",
)
OF_DAGSTER = (
    "/logs/..%2f..%2f..%2fetc%2fpasswd",
    "/logs/../../etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/logs//etc/passwd",
)


def routes(place: Place) -> dict[str, Role]:
    """Method and path of every route that needs a role, with that role."""
    own = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    app = create_app(Runtime(own, place.site.database, TokenCipher(generate_key())))
    found = (
        (method, route.path, needed(route.dependant)) for route in routes_of(app) for method in route.methods or ()
    )
    return {f"{method} {re.sub(r'{.*?}', ANY, path)}": role for method, path, role in found if role}


@attack("A request is begun and never ends, without a proxy", waits=True)
def half_open(place: Place) -> Iterator[Try]:
    """Both servers wait at the same time."""
    opened = {url: _begun(url) for url in (place.up.web_url, place.up.url)}
    for url, connection in opened.items():
        with connection:
            began = time.monotonic()
            told = "still open"
            with contextlib.suppress(TimeoutError):
                told = "ended" if connection.recv(1) == b"" else "answered"
            yield Try(
                f"half of the headers to {url}", f"{told} after {time.monotonic() - began:.0f} s", held=told == "ended"
            )


def _begun(url: str) -> socket.socket:
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname or "", address.port or 0), SECONDS_FOR_HEADERS + 10)
    connection.sendall(BEGUN)
    return connection


@attack("A stranger asks every route of the API, and learns nothing of a body")
def strangers(place: Place) -> Iterator[Try]:
    client = place.client()
    for route in routes(place):
        method, _, path = route.partition(" ")
        yield answered(route, client.request(method, path), 401)
        if method not in {"GET", "HEAD"}:
            yield answered(
                f"{route} with half of a JSON", client.request(method, path, content='{"', headers=JSON), 401
            )


@attack("Viewers and operators ask every route above their role")
def lower_roles(place: Place) -> Iterator[Try]:
    clients = {role: place.client(role) for role in (Role.VIEWER, Role.OPERATOR)}
    for route, role in routes(place).items():
        method, _, path = route.partition(" ")
        for own, client in clients.items():
            if not own.covers(role):
                yield answered(f"{own}: {route}", client.request(method, path), 403)


@attack("Somebody gives themselves more than they have (mass assignment)")
def mass_assignment(place: Place) -> Iterator[Try]:
    viewer, admin = place.signed_in(Role.VIEWER), place.signed_in(Role.ADMIN)
    for more in ({"role": "admin"}, {"active": True}, {"email": "x@example.com"}, {"id": 1}):
        answer = viewer.patch(ME, json={"name": "Eve", **more}, headers=place.own)
        yield answered(f"PATCH {ME} with {next(iter(more))}", answer, 422)
    for more in ({"password_hash": "x"}, {"oidc_subject": "x"}):
        answer = admin.patch(f"{USERS}/1", json=more, headers=place.own)
        yield answered(f"PATCH {USERS}/1 with {next(iter(more))}", answer, 422)


@attack("A viewer makes a token of an admin, or ends that of another")
def others_tokens(place: Place) -> Iterator[Try]:
    viewer = place.signed_in(Role.VIEWER)
    answer = viewer.post(TOKENS, json=wanted(role="admin"), headers=place.own)
    yield answered(f"POST {TOKENS} with the role admin", answer, 403)
    for number in (2, 3):
        yield answered(
            f"DELETE {TOKENS}/{number} of others", viewer.delete(f"{TOKENS}/{number}", headers=place.own), 404
        )


@attack("A leaked token changes its account, or makes another token")
def leaked_token(place: Place) -> Iterator[Try]:
    client = place.client(Role.OPERATOR)
    yield answered(f"PATCH {ME} with a name", client.patch(ME, json={"name": "Eve"}), 403)
    change = {"password": "another long one", "current_password": PASSWORD}
    yield answered(f"PATCH {ME} with a password", client.patch(ME, json=change), 403)
    yield answered(f"POST {TOKENS}", client.post(TOKENS, json=wanted()), 403)


@attack("A thief goes on after the password was changed")
def after_a_new_password(place: Place) -> Iterator[Try]:
    number = place.somebody("robbed@example.com")
    thief = place.signed_in(Role.OPERATOR, "robbed@example.com")
    path, new = f"{USERS}/{number}/password", "another long one of mine"
    changed = place.signed_in(Role.ADMIN).put(path, json={"password": new}, headers=place.own)
    yield answered("an admin sets a new password", changed, 204)
    yield answered("the thief's session afterwards", thief.get(ME), 401)
    yield answered("the old password afterwards", _sign_in(place.client(), "robbed@example.com", PASSWORD), 401)


def _sign_in(client: httpx.Client, email: str, password: str) -> httpx.Response:
    return client.post(LOGIN, json={"email": email, "password": password})


@attack("Passwords are guessed from one network, behind invented addresses")
def guessed(place: Place) -> Iterator[Try]:
    place.somebody("guessed@example.com")
    client = place.client(source="127.0.0.2")
    answers: list[int] = []
    for number in range(MOST_OF_ACCOUNT + 1):
        client.headers["x-forwarded-for"] = f"203.0.113.{number}"
        answers.append(_sign_in(client, "guessed@example.com", f"wrong password {number}").status_code)
    told = f"{answers.count(401)} times 401, then {answers[-1]}"
    yield Try(f"{len(answers)} wrong passwords", told, held=answers == [401] * MOST_OF_ACCOUNT + [429])
    yield answered("the right one afterwards", _sign_in(client, "guessed@example.com", PASSWORD), 429)


@attack("Somebody is locked out by wrong passwords from many networks")
def locked_out(place: Place) -> Iterator[Try]:
    place.somebody("named@example.com")
    for number in range(MOST_OF_ACCOUNT):
        answer = _sign_in(place.client(source=f"127.0.1.{number + 1}"), "named@example.com", "a wrong password")
        yield answered(f"a wrong password from 127.0.1.{number + 1}", answer, 401)
    yield answered("the owner's own sign-in", _sign_in(place.client(), "named@example.com", PASSWORD), 200)


@attack("A stranger finds out who has an account")
def enumeration(place: Place) -> Iterator[Try]:
    known, unknown = (
        _sign_in(place.client(source="127.0.2.1"), email, "a wrong password").json()["detail"]
        for email in (place.site.email(Role.VIEWER), "nobody@example.com")
    )
    yield Try(
        "a known and an unknown e-mail", "the same answer" if known == unknown else "differ", held=known == unknown
    )


@attack("A webhook without Zammad's signature, or a second time")
def webhooks(place: Place) -> Iterator[Try]:
    client = place.client()
    yield answered("without a signature", client.post(WEBHOOK, content=PAYLOAD, headers=JSON), 401)
    for sent, signed in (
        ("of another secret", signature("another secret", PAYLOAD)),
        ("of another body", signature(SECRET, b"{}")),
        ("empty", "sha1="),
    ):
        answer = client.post(WEBHOOK, content=PAYLOAD, headers={**JSON, "x-hub-signature": signed})
        yield answered(f"signature {sent}", answer, 401)
    headers = {**JSON, "x-hub-signature": signature(SECRET, PAYLOAD), "x-zammad-delivery": str(uuid.uuid4())}
    for _ in range(3):
        client.post(WEBHOOK, content=PAYLOAD, headers=headers)
    query = f"SELECT count(*) FROM sync.webhook_deliveries WHERE delivery_id = '{headers['x-zammad-delivery']}'"
    stored = place.site.value(query)
    yield Try("a signed delivery three times", f"stored {stored} times", held=stored == 1)


@attack("A connector leads to what only this machine reaches (SSRF)")
def forged_addresses(place: Place) -> Iterator[Try]:
    admin = place.client(Role.ADMIN)
    for host in FORBIDDEN_HOSTS:
        answer = admin.post(CONNECTORS, json={**NEW, "base_url": f"http://{host}/latest"})
        yield answered(f"http://{host}", answer, 422)
    for url in FORBIDDEN_SCHEMES:
        yield answered(url, admin.post(CONNECTORS, json={**NEW, "base_url": url}), 422)
    stored = place.site.value("SELECT id FROM sync.connectors WHERE name = 'kimai'")
    moved = admin.patch(f"{CONNECTORS}/{stored}", json={"base_url": "https://evil.example.com"})
    yield answered("Kimai's token to another address", moved, 422)


@attack("The memory is filled with bodies")
def large_bodies(place: Place) -> Iterator[Try]:
    for path in (LOGIN, "/api/v1/auth/refresh", WEBHOOK):
        answer = place.client().post(path, content=unannounced(2 * LIMIT), headers=JSON)
        yield answered(f"POST {path}, {2 * LIMIT:,} bytes", answer, 413)
    form = {**place.own, "content-type": "application/x-www-form-urlencoded"}
    yield answered("POST /sign-in", place.client().post("/sign-in", content=unannounced(2 * LIMIT), headers=form), 413)
    door = place.client(Role.VIEWER, dagster=True)
    yield answered("POST /graphql", door.post("/graphql", content=unannounced(2 * LIMIT), headers=JSON), 413)
    deep = door.post("/graphql", content=b"[" * 100_000, headers=JSON)
    yield answered("POST /graphql, 100,000 deep", deep, 400)
    operator = place.client(Role.OPERATOR)
    for path in ("/api/v1/mappings/users", "/api/v1/mappings/import"):
        answer = operator.post(path, content=b"[" * 100_000, headers=JSON)
        yield answered(f"POST {path}, 100,000 deep", answer, {400, 415, 422})


@attack("Malformed requests bring out what the server knows")
def malformed(place: Place) -> Iterator[Try]:
    operator = place.client(Role.OPERATOR)
    for body in (
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b'{"zammad": "a\\u0000b", "kimai": "x"}',
        b'{"zammad": 1e999, "kimai": NaN}',
    ):
        answer = operator.post("/api/v1/mappings/users", content=body, headers=JSON)
        yield answered(f"POST {body[:30]!r}", answer, {400, 404, 409, 422}, without="Traceback")
    for value in ("9" * 400, "-1", "0x10", "1e9"):
        answer = operator.get("/api/v1/audit", params={"page": value})
        yield answered(f"page={value[:10]}", answer, 422, without="Traceback")


@attack("SQL, shell or template code is put into what is searched and stored")
def injections(place: Place) -> Iterator[Try]:
    operator = place.client(Role.OPERATOR)
    for typed in INJECTIONS:
        for path in ("/api/v1/audit", "/api/v1/mappings/users", "/api/v1/conflicts"):
            answer = operator.get(path, params={"search": typed, "size": 1})
            yield answered(f"{path}?search={typed}", answer, {200, 422}, without="psycopg")
        stored = operator.post("/api/v1/mappings/users", json={"zammad": typed, "kimai": typed})
        yield answered(f"a mapping of {typed}", stored, {404, 409, 422}, without="psycopg")
    users = place.site.value("SELECT count(*) FROM sync.users")
    yield Try("the table of users afterwards", f"{users} rows", held=users >= len(Role))


@attack("Files outside of what is served are asked for (path traversal)")
def traversal(place: Place) -> Iterator[Try]:
    for path in TRAVERSALS:
        status, body = _raw(place.up.web_url, path)
        yield Try(path, str(status), held=not _leaks(body) and status in {303, 400, 401, 404})
    bearer = f"authorization: Bearer {place.tokens[Role.VIEWER]}\r\n"
    for path in OF_DAGSTER:
        status, body = _raw(place.up.url, path, bearer)
        yield Try(f"Dagster's {path}", str(status), held=not _leaks(body) and status in {200, 400, 404})
    names = place.client(Role.VIEWER).get("/api/v1/statements/..%2f..%2fetc%2fpasswd", params={"format": "csv"})
    yield answered("/api/v1/statements/..%2f..", names, {404, 422})


def _raw(url: str, path: str, headers: str = "") -> tuple[int, str]:
    """What is answered to an address that no client would send so."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), 10) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: {address.netloc}\r\n{headers}connection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split()[1]), answer.decode(errors="replace")


def _leaks(body: str) -> bool:
    return any(mark in body for mark in ("root:x:", "class Settings", "[core]", "ZK_"))


@attack("A second request is smuggled in, or headers are injected")
def smuggling(place: Place) -> Iterator[Try]:
    address = urlsplit(place.up.web_url)
    inside = f"GET /api/health HTTP/1.1\r\nhost: {address.netloc}\r\n\r\n"
    for sent, headers in (
        (
            "Content-Length and Transfer-Encoding",
            f"content-length: {len(inside) + 5}\r\ntransfer-encoding: chunked\r\n",
        ),
        ("two Content-Lengths", f"content-length: 0\r\ncontent-length: {len(inside)}\r\n"),
        ("an unknown Transfer-Encoding", "transfer-encoding: xchunked\r\ncontent-length: 0\r\n"),
    ):
        with socket.create_connection((address.hostname or "", address.port or 0), 10) as connection:
            connection.sendall(
                f"POST /api/v1/auth/login HTTP/1.1\r\nhost: {address.netloc}\r\n{headers}\r\n0\r\n\r\n{inside}".encode()
            )
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        statuses = re.findall(rb"HTTP/1.1 (\d+)", answer)
        yield Try(sent, b" and ".join(statuses).decode(), held=statuses[:1] == [b"400"] and len(statuses) == 1)
    given = place.client().get("/api/health", headers={"x-request-id": "a b;<script>"})
    yield Try("a request id with more than an id", "replaced", held="<" not in given.headers["x-request-id"])


@attack("TRACE and unknown methods")
def methods(place: Place) -> Iterator[Try]:
    for method in ("TRACE", "TRACK", "CONNECT", "DEBUG"):
        for dagster in (False, True):
            path = "/graphql" if dagster else ME
            answer = place.client(Role.ADMIN, dagster=dagster).request(method, path)
            yield answered(f"{method} {path}", answer, {400, 403, 405, 415})


@attack("A viewer reads others' sign-ins, addresses and accounts")
def read_by_viewers(place: Place) -> Iterator[Try]:
    viewer = place.client(Role.VIEWER)
    own = viewer.get(ME).json()["id"]
    rows = viewer.get("/api/v1/audit", params={"size": 100}).json()["items"]
    others = [row for row in rows if row["actor"] != f"user:{own}"]
    told = json.dumps(others)
    yield Try("GET /api/v1/audit", f"{len(rows)} rows", held="127.0." not in told and "user.signed_in" not in told)
    export = viewer.get("/api/v1/audit/export", params={"format": "jsonl"})
    of_others = [row for row in export.text.splitlines() if f'"user:{own}"' not in row]
    seen = [row for row in of_others if "user.sign" in row or '"address"' in row]
    yield Try("the export", f"{len(of_others)} rows of others", held=bool(of_others) and not seen)
    searched = viewer.get("/api/v1/audit", params={"search": "127.0.1."}).json()["total"]
    yield Try("a search for an address", f"{searched} rows", held=searched == 0)
    yield answered(f"GET {USERS}", viewer.get(USERS), 403)
