"""Attacks by way of somebody's browser: other sites, stolen and planted cookies, frames, redirects, and scripts."""

import json
from collections.abc import Iterator

import httpx
import jwt
from sqlalchemy import text
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from zk_pipeline.identity.actors import Role
from zk_pipeline.identity.sign_in import Purpose
from zk_pipeline_tests.attack.book import Try, answered, attack
from zk_pipeline_tests.attack.place import CROSS_SITE, EVIL, Place
from zk_pipeline_tests.web.console.test_entering import opened_page, said
from zk_pipeline_tests.web.signing_in import LOGIN, ME, PASSWORD, REFRESH, bearer, content

ELSEWHERE = ("//evil.example", "https://evil.example", "/\\evil.example", "/%2fevil.example//", "javascript:alert(1)")
SCRIPT = '"><script>alert(1)</script>'
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


def cookies_of(browser: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def socket_refused(url: str, headers: dict[str, str]) -> str:
    """What a socket is answered that must not open."""
    try:
        with connect(url.replace("http", "ws"), additional_headers=headers, proxy=None):
            return "opened"
    except InvalidStatus as error:
        return str(error.response.status_code)


@attack("Another site acts with somebody's cookies")
def forged_requests(place: Place) -> Iterator[Try]:
    browser = place.signed_in(Role.ADMIN)
    for headers in (
        CROSS_SITE,
        {"origin": "null"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:1"},
        {},
    ):
        for method, path, body in (
            ("PATCH", ME, {"name": "Eve"}),
            ("POST", "/api/v1/sync/requests", {}),
            ("POST", REFRESH, {}),
        ):
            answer = browser.request(method, path, json=body, headers=headers)
            yield answered(f"{method} {path} from {headers.get('origin', 'nowhere')}", answer, 403)
    form = browser.post("/sign-out", data={}, headers=CROSS_SITE)
    yield answered("form POST /sign-out from another site", form, 403)


@attack("Another site signs somebody in as the attacker")
def planted_sign_in(place: Place) -> Iterator[Try]:
    typed = {"email": place.site.email(Role.VIEWER), "password": PASSWORD}
    for headers in (CROSS_SITE, {"origin": "null"}, {}):
        answer = place.client().post("/sign-in", data=typed, headers=headers)
        yield answered(f"form POST /sign-in from {headers.get('origin', 'nowhere')}", answer, 403)


@attack("A name that leads here (DNS rebinding) reads with somebody's browser")
def rebinding(place: Place) -> Iterator[Try]:
    for host in ("attacker.example", "127.0.0.1.attacker.example", "attacker.example:8000"):
        headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        yield answered(f"GET /metrics, Host: {host}", place.client().get("/metrics", headers=headers), 401)
        yield answered(f"GET {ME}, Host: {host}", place.client().get(ME, headers=headers), 401)
        page = place.client(dagster=True).get("/", headers=headers)
        yield answered(f"GET Dagster's /, Host: {host}", page, 421)


@attack("Another site opens the console's socket")
def foreign_socket(place: Place) -> Iterator[Try]:
    cookie = {"cookie": cookies_of(place.signed_in(Role.ADMIN))}
    for headers in ({**cookie, "origin": EVIL}, cookie, {"origin": place.up.web_url}):
        told = socket_refused(place.up.web_url + SOCKET, headers)
        yield Try(f"socket, Origin: {headers.get('origin', 'none')}", told, held=told == "403")


@attack("Somebody else drives the page of an admin")
def foreign_page(place: Place) -> Iterator[Try]:
    admin, viewer = (cookies_of(place.signed_in(role)) for role in (Role.ADMIN, Role.VIEWER))
    page = opened_page(place.site, admin)
    about = {"client_id": page, "tab_id": "t", "document_id": "d", "next_message_id": 0}
    for name in ("handshake", "event", "javascript_response"):
        (_, told) = said(place.site, viewer, page, f"420{json.dumps([name, about])}")
        yield Try(f"a viewer's socket, message {name} for the page", told, held=told == "430[false]")
    upload = place.client().post(
        f"/_nicegui/client/{page}/upload/1", headers={"cookie": viewer, "origin": place.up.web_url}
    )
    yield answered("a viewer's upload to the page", upload, 401)


@attack("A session is fixed before the sign-in, and used afterwards")
def fixation(place: Place) -> Iterator[Try]:
    planted = place.signed_in(Role.VIEWER).cookies["zk_session"]
    victim = place.client()
    victim.cookies.set("zk_session", planted, domain="127.0.0.1", path="/")
    typed = {"email": place.site.email(Role.OPERATOR), "password": PASSWORD}
    victim.post("/sign-in", data=typed, headers=place.own)
    cookie = {"cookie": f"zk_session={planted}"}
    known = place.client().get(ME, headers=cookie)
    told = f"{known.status_code} {known.json().get('email', '')}"
    fresh = victim.cookies.get("zk_session", domain="") != planted
    yield Try("the planted cookie after the sign-in", told, held=fresh and "operator" not in told)


@attack("A session is used after its end")
def after_the_end(place: Place) -> Iterator[Try]:
    browser = place.signed_in(Role.VIEWER)
    kept = {"cookie": cookies_of(browser)}
    browser.post("/sign-out", headers=place.own)
    yield answered(f"GET {ME} after the sign-out", place.client().get(ME, headers=kept), 401)
    again = place.client().post(REFRESH, json={}, headers={**kept, **place.own})
    yield answered(f"POST {REFRESH} after the sign-out", again, 401)


@attack("A stolen refresh token is used a second time")
def replayed_refresh(place: Place) -> Iterator[Try]:
    typed = {"email": place.site.email(Role.VIEWER), "password": PASSWORD}
    stolen = place.client().post(LOGIN, json=typed).json()["refresh_token"]
    fresh = place.client().post(REFRESH, json={"refresh_token": stolen}).json()["access_token"]
    replay = place.client().post(REFRESH, json={"refresh_token": stolen})
    yield answered("the same refresh token again", replay, 401)
    yield answered("the session of both afterwards", place.client().get(ME, headers=bearer(fresh)), 401)


@attack("Forged session tokens are shown")
def forged_tokens(place: Place) -> Iterator[Try]:
    typed = {"email": place.site.email(Role.VIEWER), "password": PASSWORD}
    claims = content(place.client().post(LOGIN, json=typed).json()["access_token"])
    made = {
        "alg none": jwt.encode(claims, "", "none"),
        "another key": jwt.encode(claims, b"a key of somebody else, as long!!", "HS256"),
        "another session": jwt.encode({**claims, "sid": "x"}, b"a key of somebody else, as long!!", "HS256"),
        "purpose refresh": jwt.encode(
            {**claims, "aud": Purpose.REFRESH}, b"a key of somebody else, as long!!", "HS256"
        ),
        "an API token made up": "zk_" + "A" * 43,
        "the cookie of a browser": place.signed_in(Role.VIEWER).cookies["zk_session"],
    }
    for sent, token in made.items():
        yield answered(f"token: {sent}", place.client().get(ME, headers=bearer(token)), 401)
    cookies = {"an access token": jwt.encode(claims, "x" * 32, "HS256"), "made up": f"{'A' * 32}.{'A' * 43}"}
    cookies["of the session of a token"] = f"{claims['sid']}.{'A' * 43}"
    for sent, cookie in cookies.items():
        answer = place.client().get(ME, headers={"cookie": f"zk_session={cookie}"})
        yield answered(f"cookie: {sent}", answer, 401)


@attack("A stolen cookie is used beside the browser that it was taken from")
def stolen_cookie(place: Place) -> Iterator[Try]:
    victim = place.signed_in(Role.VIEWER)
    stolen = {"cookie": f"zk_session={victim.cookies['zk_session']}"}
    with place.site.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET refreshed_at = now() - interval '2 minutes'"))
    for _ in range(2):
        victim.post(REFRESH, json={}, headers=place.own)
    yield answered("the stolen cookie once the browser exchanged its own", place.client().get(ME, headers=stolen), 401)
    yield answered("the session of both afterwards", victim.get(ME), 401)


@attack("Cookies are read by scripts or sent by other sites")
def cookie_flags(place: Place) -> Iterator[Try]:
    typed = {"email": place.site.email(Role.VIEWER), "password": PASSWORD}
    answer = place.client().post("/sign-in", data=typed, headers=place.own)
    for cookie in answer.headers.get_list("set-cookie"):
        name, _, rest = cookie.partition("=")
        flags = {part.strip().lower() for part in rest.split(";")[1:]}
        wanted = {"httponly", "path=/", "samesite=strict"}
        told = ", ".join(sorted(flags & wanted))
        yield Try(f"cookie {name}", told, held=wanted <= flags and not any(f.startswith("domain") for f in flags))


@attack("The sign-in leads to another site (open redirect)")
def open_redirect(place: Place) -> Iterator[Try]:
    typed = {"email": place.site.email(Role.VIEWER), "password": PASSWORD}
    browser = place.client()
    for target in ELSEWHERE:
        answer = browser.post("/sign-in", data={**typed, "next": target}, headers=place.own)
        where = answer.headers.get("location", "")
        yield Try(f"next={target}", f"{answer.status_code} to {where}", held=leads_home(where))
        for path in ("/sign-in", "/renew"):
            where = browser.get(path, params={"next": target}).headers.get("location", "/")
            yield Try(f"GET {path}?next={target}", f"to {where}", held=leads_home(where))


def leads_home(where: str) -> bool:
    return where.startswith("/") and not where.startswith(("//", "/\\"))


@attack("Pages are framed, sniffed, cached or run foreign scripts")
def protecting_headers(place: Place) -> Iterator[Try]:
    viewer, stranger = place.signed_in(Role.VIEWER), place.client()
    known, door = place.client(Role.VIEWER), place.client(Role.VIEWER, dagster=True)
    answers = {
        "the console": viewer.get("/"),
        "the sign-in": stranger.get("/sign-in"),
        "an answer of the API": known.get(ME),
        "an export": known.get("/api/v1/audit/export", params={"format": "csv"}),
        "a refusal": stranger.get("/api/v1/kpi"),
        "an error 404": stranger.get("/nothing"),
        "a redirect": stranger.get("/"),
        "the health": stranger.get("/api/health"),
        "the description of the API": known.get("/api/docs"),
        "a file of the console": stranger.get("/console/assets/console.css"),
        "Dagster's page": door.get("/"),
        "Dagster's GraphQL": door.post("/graphql", json={"query": "{ version }"}),
        "Dagster's refusal": place.client(dagster=True).get("/graphql"),
    }
    for sent, answer in answers.items():
        lacking = lacking_headers(answer, cached="file" in sent or "page" in sent)
        yield Try(sent, f"lacks {', '.join(lacking)}" if lacking else "all headers", held=not lacking)


def lacking_headers(answer: httpx.Response, *, cached: bool) -> list[str]:
    """The protecting headers that an answer does not have; files that are the same for everybody may be cached."""
    headers, policy = answer.headers, answer.headers.get("content-security-policy", "")
    wanted = {
        "nosniff": headers.get("x-content-type-options") == "nosniff",
        "frame-ancestors": "frame-ancestors 'none'" in policy,
        "a policy": "default-src" in policy and "base-uri 'none'" in policy,
        "a referrer policy": "referrer-policy" in headers,
        "no-store": cached or "no-store" in headers.get("cache-control", ""),
        "its origin alone": "access-control-allow-origin" not in headers,
    }
    return [name for name, is_there in wanted.items() if not is_there]


@attack("Somebody is shown a script in a name (XSS)")
def scripts(place: Place) -> Iterator[Try]:
    page = place.client().post("/sign-in", data={"email": SCRIPT, "next": f"/{SCRIPT}"}, headers=place.own)
    yield answered("the sign-in with a script as e-mail", page, 401, without="<script")
    browser = place.signed_in(Role.VIEWER)
    browser.patch(ME, json={"name": SCRIPT}, headers=place.own)
    yield answered("the console of somebody named so", browser.get("/"), 200, without=SCRIPT)
    error = browser.get(f"/api/v1/conflicts/{SCRIPT}")
    kind = error.headers["content-type"]
    yield Try("an error that tells it back", kind, held=kind.startswith("application/json"))


@attack("A token stands in an address, where logs keep it")
def token_in_address(place: Place) -> Iterator[Try]:
    for name in ("token", "access_token", "api_key"):
        answer = place.client().get(ME, params={name: place.tokens[Role.VIEWER]})
        yield answered(f"GET {ME}?{name}=…", answer, 400, without=place.tokens[Role.VIEWER])
