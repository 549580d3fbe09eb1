"""The description of the API, and everything it describes attacked with generated requests."""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline.store import day_requests
from zk_pipeline.web.api.documentation import REDOC, SCHEMA, SWAGGER
from zk_pipeline.web.api.examples import UNKNOWN
from zk_pipeline.web.once import HEADER
from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.credits import credited
from zk_pipeline_tests.domain.builders import DAY
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.api.planned import MISSING, planned_day, store_plan
from zk_pipeline_tests.web.api.test_sync import carry_out
from zk_pipeline_tests.web.conftest import Web, token_of
from zk_sandbox.server import SandboxProcess

RUN = "run-1-of-the-fuzz"
NOWHERE = "http://127.0.0.1:9"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""What reads comes first and what deletes last, so that each meets what there is."""

ASKING = {
    "POST /api/v1/connectors",
    "PATCH /api/v1/connectors/{connector_id}",
    "POST /api/v1/connectors/{connector_id}/test",
    "GET /api/v1/connectors/{connector_id}/activities",
    "POST /api/v1/mappings/import",
    "POST /api/v1/mappings/{collection}",
    "PUT /api/v1/mappings/{collection}/{key}",
    "POST /api/v1/periods/{month}/tags",
    "POST /api/v1/statements/refresh",
    "POST /api/v1/sync/runs/{run_id}/cancel",
    "POST /api/v1/sync/overrides",
    "POST /api/v1/sync/plans",
    "GET /api/v1/sync/runs/{run_id}/undo",
    "POST /api/v1/sync/runs/{run_id}/undo",
}
"""Operations that ask Zammad, Kimai or Dagster."""

SLOW = {"POST /api/v1/doctor"}
"""Operations that take nothing and long: once is enough."""

NAMED = {
    "conflict_id": "SELECT id FROM sync.conflicts LIMIT 1",
    "credit_id": "SELECT id FROM sync.adjustments LIMIT 1",
    "user_id": "SELECT id FROM sync.users WHERE role = 'viewer'",
    "token_id": "SELECT min(id) FROM sync.api_tokens WHERE role = 'viewer'",
}

OF_PERSONS = ("/api/v1/users", "/api/v1/tokens", "/api/v1/auth/confirm")
"""Where an API token is refused."""

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
"""Generated requests for each operation; more in a long run."""


@pytest.fixture
def document(as_role: AsRole) -> dict[str, Any]:
    return as_role("viewer").get(SCHEMA).json()


def test_each_operation_says_what_it_does(document: dict[str, Any]):
    silent = [
        f"{method} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not operation.get("summary") or not operation.get("tags")
    ]
    assert silent == []


def errors_of(document: dict[str, Any], method: str, path: str) -> set[str]:
    return {status for status in document["paths"][path][method]["responses"] if status[0] in "45"}


def test_each_operation_names_the_errors_in_the_form_that_they_have(document: dict[str, Any], as_role: AsRole):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status in errors_of(document, method, path) if path.startswith("/api/v1/") else ():
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
    assert as_role("viewer").get("/api/v1/conflicts/0").json().keys() == set(
        document["components"]["schemas"]["Problem"]["properties"]
    )
    assert document["security"] == [{"token": []}, {"session": []}]
    assert "HTTPValidationError" not in str(document)


@pytest.mark.parametrize(
    ("method", "path", "errors"),
    [
        ("get", "/api/health", "503"),
        ("get", "/api/v1/connectors", "400 401 422 503"),
        ("get", "/api/v1/users/{user_id}", "400 401 403 404 422 503"),
        ("get", "/api/v1/statements/{month}", "400 401 404 409 422 503"),
        ("post", "/api/v1/auth/login", "400 401 403 413 422 429 503"),
        ("post", "/api/v1/auth/logout", "400 403 413 422 503"),
        ("post", "/api/v1/conflicts/{conflict_id}/decision", "400 401 403 404 409 413 422 503"),
        ("post", "/api/v1/mappings/import", "400 401 403 408 409 413 415 422 502 503"),
        ("post", "/api/v1/webhooks/{connector}", "400 401 404 408 413 415 422 429 503"),
    ],
)
def test_an_operation_names_the_errors_that_it_answers_and_no_others(
    document: dict[str, Any], method: str, path: str, errors: str
):
    assert errors_of(document, method, path) == set(errors.split())


def json_of(content: dict[str, Any]) -> dict[str, Any] | None:
    """The description of a JSON body that says what is in it."""
    found = content.get("content", {}).get("application/json")
    return found if found and found.get("schema") else None


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON body that is sent or answered, errors too."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            named = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for where, content in named.items():
                found = json_of(content)
                if found is not None:
                    yield f"{method.upper()} {path} {where}", found


def test_each_request_and_answer_has_an_example_that_is_as_described(document: dict[str, Any]):
    for where, body in bodies(document):
        assert "example" in body, where
        assert UNKNOWN not in json.dumps(body["example"], ensure_ascii=False), f"{where}: name the field in VALUES"
        schema = {**body["schema"], "components": document["components"]}
        found = Draft202012Validator(schema).iter_errors(body["example"])
        assert [f"{where}: {error.json_path}: {error.message}" for error in found] == []


def test_each_example_of_a_request_is_taken_as_one(document: dict[str, Any], web: Web, in_session: AsRole):
    client, refusals = in_session("admin"), list[str]()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = json_of(operation.get("requestBody", {}))
            if body is None or path.startswith("/api/v1/auth") or f"{method.upper()} {path}" in ASKING:
                continue
            values = {row["name"]: row.get("example") for row in operation.get("parameters", ()) if row["in"] == "path"}
            assert None not in values.values(), path
            answer = client.request(method, path.format(**values), json=body["example"])
            assert answer.status_code != 401, path
            if answer.status_code == 422 and answer.json()["detail"].startswith(("body", "path")):
                refusals.append(f"{method} {path}: {answer.json()['detail']}")
    assert refusals == []


def test_every_list_has_one_form_and_is_paged_alike(document: dict[str, Any]):
    for path, operations in document["paths"].items():
        content = json_of(operations.get("get", {}).get("responses", {}).get("200", {}))
        if content is None:
            continue
        assert "array" not in content["schema"].get("type", ""), path
        names = {row["name"] for row in operations["get"].get("parameters", ())}
        if "items" in content["example"]:
            assert {"items", "total", "page", "pages"} <= content["example"].keys(), path
            assert {"page", "size"} <= names, path
        else:
            assert "page" not in names, path


def test_filters_of_days_and_texts_have_one_name_everywhere(document: dict[str, Any]):
    names = {
        row["name"]
        for operations in document["paths"].values()
        for row in operations.get("get", {}).get("parameters", ())
        if row["in"] == "query"
    }
    assert {"first", "last", "search", "since", "until"} <= names
    assert names.isdisjoint({"from", "to", "text", "q", "run", "limit", "offset"})


OF_LISTS = {"page", "size", "first", "last", "search", "since", "until"}
"""What chooses pages, ranges and parts of what is shown."""

OF_NO_FIELD = {
    "/api/v1/conflicts": {"cause"},  # The key of a row of /conflicts/causes.
    "/api/v1/reconciliation": {"view"},  # Which of the four lists of the console.
}

OF_ROWS_BENEATH = {"/api/v1/conflicts/causes": "/api/v1/conflicts"}
"""Lists whose filters choose the rows that they sum up."""


def fields_of(document: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """The fields of a row and of what is nested in it."""
    found = set[str]()
    for part in (schema, *schema.get("anyOf", ())):
        named = part.get("$ref", "").removeprefix("#/components/schemas/")
        for name, inner in document["components"]["schemas"].get(named, {}).get("properties", {}).items():
            found |= {name} | fields_of(document, inner)
    return found


def test_each_filter_of_a_list_is_named_as_a_field_of_its_rows(document: dict[str, Any]):
    filters: dict[str, set[str]] = {}
    rows: dict[str, set[str]] = {}
    for path, operations in document["paths"].items():
        content = json_of(operations.get("get", {}).get("responses", {}).get("200", {}))
        if content is None or "items" not in content["example"]:
            continue
        page = content["schema"].get("$ref", "").removeprefix("#/components/schemas/")
        rows[path] = fields_of(document, document["components"]["schemas"][page]["properties"]["items"]["items"])
        filters[path] = {
            row["name"]
            for row in operations["get"].get("parameters", ())
            if row["in"] == "query" and not row.get("deprecated")
        }
    assert len(filters) > 15
    strange = {
        path: odd
        for path, names in filters.items()
        if (odd := names - OF_LISTS - OF_NO_FIELD.get(path, set()) - rows[OF_ROWS_BENEATH.get(path, path)])
    }
    assert strange == {}


@pytest.mark.parametrize(
    ("path", "former", "name"),
    [
        ("conflicts", "agent", "user_name"),
        ("conflicts", "customer", "customer_name"),
        ("conflicts/causes", "agent", "user_name"),
        ("reconciliation", "ticket", "ticket_number"),
    ],
)
def test_a_former_name_of_a_filter_is_taken_with_a_warning(as_role: AsRole, path: str, former: str, name: str):
    answers = [as_role("viewer").get(f"/api/v1/{path}", params={one: "nobody"}) for one in (former, name)]
    assert [(answer.status_code, answer.json()["total"]) for answer in answers] == [(200, 0), (200, 0)]
    assert answers[0].headers["Deprecation"].startswith("@")
    assert answers[0].headers["Warning"] == f'299 zk_pipeline "{former} is now {name}, and goes in 0.3."'
    assert "Deprecation" not in answers[1].headers


def test_whatever_changes_something_takes_an_idempotency_key(document: dict[str, Any]):
    without = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "get" and HEADER not in {row["name"] for row in operation.get("parameters", ())}
    }
    # Who one is cannot be answered twice, and a delivery is known by its own id.
    known = {path for path in without if "/auth/" in path or "/webhooks/" in path}
    assert without - known == {"POST /api/v1/mappings/import"}, "an uploaded file sets the same twice"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/v1/conflicts?reson=billed", "query.reson: there is no such parameter here. Did you mean reason?"),
        ("/api/v1/users?x=1", "query.x: there is no such parameter here. Known are: "),
        ("/api/v1/schedules?x=1", "query.x: there is no such parameter here. Known are: page, size."),
    ],
)
def test_a_query_parameter_that_an_operation_does_not_have_is_refused(as_role: AsRole, path: str, sentence: str):
    answer = as_role("admin").get(path)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(sentence)


@pytest.mark.parametrize("page", [SWAGGER, REDOC])
def test_the_pages_take_nothing_from_the_internet(page: str, as_role: AsRole):
    answer = as_role("viewer").get(page)
    assert answer.status_code == 200
    assert "https://" not in answer.text.replace("https://fastapi.tiangolo.com", "")


@pytest.mark.parametrize("page", [SWAGGER, REDOC])
def test_strangers_are_sent_to_sign_in_and_back(page: str, web: Web):
    answer = web.client.get(page)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next={page}"


@pytest.fixture
def out_of_reach(web: Web) -> None:
    """Users and tokens have numbers that nothing generated meets by chance, so that nothing switches ours off."""
    with web.database.transaction() as connection:
        for table in ("users", "api_tokens"):
            connection.execute(text(f"ALTER TABLE sync.{table} ALTER COLUMN id RESTART WITH 7654321"))


@pytest.fixture
def filled(web: Web, out_of_reach: None, ids: dict[str, int]) -> Iterator[dict[str, Any]]:
    """A database with something of everything, and what stands for each parameter: the names of what there is."""
    del out_of_reach
    store_plan(web.database, planned_day())
    carry_out(web.database, RUN, DAY, DAY)
    token_of(web.database, Role.VIEWER)
    with web.database.transaction() as connection:
        empty_marts.make(connection)
        asked, _ = day_requests.ask_once(connection, DAY, DAY)
        credited(connection)
        real: dict[str, Any] = {name: connection.execute(text(query)).scalar_one() for name, query in NAMED.items()}
    days = {"first": str(DAY), "last": str(DAY), "day": str(DAY)}
    named = {"request_id": asked.id, "run_id": RUN, "month": "2025-08", "name": "catch_up", "connector": "zammad"}
    named |= {"ids": [real["conflict_id"]], "source_id": MISSING, "key": MISSING}
    named |= {"email": "viewer@example.com", "cron": "0 * * * *"}
    yield {**real, **named, **days, "connector_id": ids["zammad"]}
    with web.database.transaction() as connection:
        empty_marts.drop(connection)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("settings", [{"timezone": "Europe/Berlin", "dagster_address": NOWHERE}], indirect=True)
def test_no_generated_request_makes_the_server_fail(
    as_role: AsRole, in_session: AsRole, pristine: SandboxProcess, filled: dict[str, Any]
) -> None:
    import schemathesis  # noqa: PLC0415 (a second in each process that collects tests)

    # Only in a session may accounts be changed; signing out would end it, but no token.
    admin, in_person = as_role("admin"), in_session("admin")
    schema = schemathesis.openapi.from_dict(admin.get(SCHEMA).json())
    operations = [found.ok() for found in schema.get_all_operations()]
    failures: list[str] = []
    for operation in sorted(operations, key=lambda found: METHODS.index(found.method.upper())):
        failures += attack(in_person if operation.path.startswith(OF_PERSONS) else admin, operation, filled)
        me = admin.get("/api/v1/auth/me")
        assert me.status_code == 200, f"{operation.label} took the token away: what follows would reach nothing"
        assert me.json()["role"] == "admin", operation.label
    assert failures == []


def name_real(part: Any, real: dict[str, Any]) -> None:
    """Put the names of what there is into a part of a request, where it names anything."""
    if isinstance(part, dict):
        part.update({name: real[name] for name in real.keys() & part.keys()})


def attack(client: httpx.Client, operation: Any, real: dict[str, Any]) -> list[str]:
    """The requests of one operation with an answer that is not described or a server error, half about what there is.

    502 is no failure of ours where a system or Dagster is asked: it is not there, or a request before led elsewhere.
    """
    failures: list[str] = []
    excused = {502} if operation.label in ASKING else set[int]()

    @settings(
        max_examples=1 if operation.label in SLOW else EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), is_real=st.booleans())
    def send(case: Any, is_real: bool) -> None:
        if is_real:
            for part in (case.path_parameters, case.query, case.body):
                name_real(part, real)
        response = case.call(base_url=str(client.base_url), headers=dict(client.headers))
        is_described = str(response.status_code) in operation.definition.raw["responses"]
        if not is_described or (response.status_code >= 500 and response.status_code not in excused):
            failures.append(f"{response.status_code}: {case.as_curl_command()}")

    send()
    return failures
