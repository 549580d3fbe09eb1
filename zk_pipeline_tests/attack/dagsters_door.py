"""Attacks on Dagster's UI and GraphQL: other sites, strangers, and what operators and viewers may not do there."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import jwt

from zk_pipeline.identity.actors import Role
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.dagster_server import service_token
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.web.dagster_ui.rules import MUTATIONS
from zk_pipeline_tests.attack.book import Try, answered, attack
from zk_pipeline_tests.attack.browsers import cookies_of, socket_refused
from zk_pipeline_tests.attack.place import CROSS_SITE, EVIL, Place
from zk_pipeline_tests.cli.test_up import LAUNCH as LAUNCH_WITH_ID
from zk_pipeline_tests.web.dagster_ui.test_door import LAUNCH, UNDO, execution, opened_at
from zk_pipeline_tests.web.dagster_ui.test_rules import BACKFILL, HIDDEN_MUTATIONS, OF_OPERATORS, SCHEMA_QUERIES, called

ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
SECONDS_FOR_A_RUN = 90
IMAGE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
JOBS_OF_ADMINS = ("undo", "tag_billed", "mend", "apply_retention", "backup", "rehearse_backup", "verify_audit")
OUR_TAGS = ("zk/override-limits", "zk/actor", "zk/request", "zk/target")


@attack("An image of another site starts undo (GraphQL by GET)")
def image(place: Place) -> Iterator[Try]:
    cookie = {"cookie": cookies_of(place.signed_in(Role.ADMIN))}
    for headers in (IMAGE, {**IMAGE, "sec-fetch-site": "same-site"}, {}):
        answer = place.client(dagster=True).get(f"/graphql?query={quote(UNDO)}", headers={**cookie, **headers})
        yield answered("GET /graphql?query=mutation{launchRun…}", answer, {403, 405})


@attack("A form of another site starts undo")
def form(place: Place) -> Iterator[Try]:
    cookie = {"cookie": cookies_of(place.signed_in(Role.ADMIN))}
    body = json.dumps({"query": UNDO})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json"):
        headers = {**cookie, **CROSS_SITE, "content-type": kind}
        answer = place.client(dagster=True).post("/graphql", content=body, headers=headers)
        yield answered(f"POST /graphql as {kind} from {EVIL}", answer, 403)
    headers = {**cookie, "origin": place.up.url, "content-type": "text/plain"}
    own = place.client(dagster=True).post(f"/graphql?query={quote(UNDO)}", content=body, headers=headers)
    yield answered("the same as text by our own page", own, 415)


@attack("Another site or port sends JSON or opens Dagster's socket")
def foreign_origin(place: Place) -> Iterator[Try]:
    cookie = {"cookie": cookies_of(place.signed_in(Role.ADMIN))}
    for origin in (EVIL, "http://127.0.0.1:1", "null"):
        headers = {**cookie, "origin": origin, "sec-fetch-site": "same-site"}
        answer = place.client(dagster=True).post("/graphql", json={"query": UNDO}, headers=headers)
        yield answered(f"POST /graphql from {origin}", answer, 403)
        told = socket_refused(f"{place.up.url}/graphql", headers)
        yield Try(f"socket from {origin}", told, held=told == "403")


@attack("Another name for this host reaches Dagster")
def foreign_host(place: Place) -> Iterator[Try]:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil", ""):
        headers = {"host": host, "origin": f"http://{host}"}
        answer = place.client(Role.ADMIN, dagster=True).post("/graphql", json={"query": UNDO}, headers=headers)
        yield answered(f"POST /graphql, Host: {host}", answer, {400, 421})


@attack("A stranger asks Dagster, by any of its ways")
def stranger(place: Place) -> Iterator[Try]:
    for method, path in (
        ("POST", "/graphql"),
        ("GET", "/graphql"),
        ("GET", "/server_info"),
        ("GET", "/logs/a/out"),
        ("POST", "/report_asset_materialization/sync/kimai_pushes"),
        ("GET", "/download_debug/1"),
        ("GET", "/notebook?path=/x.ipynb"),
        ("OPTIONS", "/graphql"),
    ):
        yield answered(f"{method} {path}", place.client(dagster=True).request(method, path), 401)
    told = socket_refused(f"{place.up.url}/graphql", {"origin": place.up.url})
    yield Try("socket", told, held=told == "403")


@attack("A program of ours is imitated by a token that it did not make")
def imitated(place: Place) -> Iterator[Try]:
    claims = {"iss": "zk_pipeline", "aud": "zk_pipeline:dagster", "iat": 1, "exp": 4_000_000_000}
    for sent, token in (
        ("of another key", service_token(TokenCipher(generate_key()))),
        ("without a signature", jwt.encode(claims, "", "none")),
    ):
        headers = {"authorization": f"Bearer {token}"}
        answer = place.client(dagster=True).post("/graphql", json={"query": UNDO}, headers=headers)
        yield answered(f"service token {sent}", answer, 401)


@attack("A tag of ours (zk/…) is set from outside")
def our_tags(place: Place) -> Iterator[Try]:
    for role in (Role.OPERATOR, Role.ADMIN):
        for key in OUR_TAGS:
            tag = (key, "other")
            yield refused_by_role(place, role, LAUNCH, {"p": execution("sync", tag)}, f"{role}: sync with {key}")
            backfill = {"p": {"assetSelection": [], "tags": [{"key": key, "value": "other"}]}}
            yield refused_by_role(place, role, BACKFILL, backfill, f"{role}: backfill with {key}")


@attack("An operator launches the jobs of admins")
def jobs_of_admins(place: Place) -> Iterator[Try]:
    for job in JOBS_OF_ADMINS:
        yield refused_by_role(place, Role.OPERATOR, LAUNCH, {"p": execution(job)}, f"operator: launch {job}")


@attack("Viewers and operators send each mutation that is not theirs")
def mutations(place: Place) -> Iterator[Try]:
    for name in sorted(MUTATIONS):
        query, variables = called(name)
        for role in (Role.VIEWER, Role.OPERATOR):
            if role is Role.VIEWER or name not in OF_OPERATORS:
                yield refused_by_role(place, role, query, variables, f"{role}: {name}")


@attack("A mutation is hidden in another spelling")
def hidden(place: Place) -> Iterator[Try]:
    for query in HIDDEN_MUTATIONS:
        yield refused_by_role(place, Role.OPERATOR, query, {}, f"operator: {query[:40]}…")


def refused_by_role(place: Place, role: Role, query: str, variables: object, sent: str) -> Try:
    """An operation that is refused before Dagster sees it: its own answers hold none of our sentences."""
    asked = {"query": query, "variables": variables}
    answer = place.client(role, dagster=True).post("/graphql", json=asked)
    ours = ("needs the role", "not for operators", "cannot be set from outside", "is not", "alone", "Send", "one ")
    refused = answer.status_code == 403 or ("PythonError" in answer.text and any(text in answer.text for text in ours))
    return Try(sent, "refused" if refused else f"{answer.status_code} {answer.text[:60]}", held=refused)


@attack("Somebody learns Dagster's schema")
def schema(place: Place) -> Iterator[Try]:
    for query in SCHEMA_QUERIES:
        asked = place.client(Role.ADMIN, dagster=True).post("/graphql", json={"query": query})
        yield answered(f"admin: {query[:40]}", asked, 403, without="dagsterRun")


@attack("A mutation is sent on Dagster's socket")
def by_socket(place: Place) -> Iterator[Try]:
    with opened_at(place.up.url, {"authorization": f"Bearer {place.tokens[Role.ADMIN]}"}) as socket:
        socket.send(json.dumps({"type": "start", "id": "1", "payload": {"query": UNDO}}))
        told = json.loads(socket.recv(10))
    yield Try("start with a mutation", told["type"], held=told["type"] == "error")


@attack("A run of an admin's job is launched past the door", waits=True)
def past_the_door(place: Place) -> Iterator[Try]:
    """By whoever has the token of our own programs, which need no role: the run itself takes a request of ours."""
    launched = {
        sent: place.up.ask(LAUNCH_WITH_ID, parameters={**execution("apply_retention", *tags), "runConfigData": {}})
        for sent, tags in (("no request", ()), ("a made-up one", (("zk/request", "made-up"), ("zk/actor", "user:1"))))
    }
    for sent, answer in launched.items():
        run_id = answer["launchRun"]["run"]["runId"]
        wait_until(lambda run_id=run_id: place.up.status(run_id) in ENDED, SECONDS_FOR_A_RUN)
        status = place.up.status(run_id)
        trail = f"SELECT count(*) FROM sync.audit_logs WHERE event = 'run.authorized' AND subject = 'run:{run_id}'"
        held = status == "FAILURE" and place.site.value(trail) == 0
        yield Try(f"apply_retention with {sent}", status, held=held)


@attack("An operator reports assets as made")
def reported(place: Place) -> Iterator[Try]:
    for role in (Role.VIEWER, Role.OPERATOR):
        client = place.client(role, dagster=True)
        answer = client.post("/report_asset_materialization/sync/kimai_pushes", json={})
        yield answered(f"{role}: POST /report_asset_materialization/…", answer, 403)
