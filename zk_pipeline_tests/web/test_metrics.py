"""What Prometheus scrapes: the figures of the database, and the app's own answers by route template."""

from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from zk_pipeline.web import metrics
from zk_pipeline_tests.web.conftest import Web, refused

AFAR = {"x-forwarded-for": "203.0.113.7"}


def samples(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels, which are in alphabetical order."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are asked for each time."""
    monkeypatch.setattr(metrics, "SECONDS_VALID", 0)


@pytest.fixture
def busy(web: Web, fresh: None) -> Web:
    """Something of everything."""
    del fresh
    statements = (
        (
            "INSERT INTO sync.pushes (connector, source_id, state, operation, entry_date, payload_hash, asked, run_id) "
            "SELECT 'kimai', n::text, CASE WHEN n < 3 THEN 'parked' ELSE 'failed' END, 'create', '2026-01-01', '', "
            "'{}', 'r' FROM generate_series(1, 5) n"
        ),
        (
            "INSERT INTO sync.conflicts (connector, entry_date, key, reason, text, suggested_action, facts_hash, "
            "opened_at) VALUES ('kimai', '2026-01-01', '1', 'unmapped_user', '', '', '', now() - interval '30 hours'),"
            " ('kimai', '2026-01-01', '2', 'unmapped_user', '', '', '', now())"
        ),
        "INSERT INTO sync.day_requests (day, reason) VALUES ('2026-01-01', 'a'), ('2026-01-01', 'b')",
        # Asked for while the clock was ahead: it cannot run yet, and is not late.
        "INSERT INTO sync.day_requests (day, reason) VALUES (current_date + 2, 'a')",
        "INSERT INTO sync.webhook_deliveries (connector, delivery_id, ticket_id, body) VALUES ('zammad', '1', 1, '')",
        "INSERT INTO sync.failed_logins (account_hash, address) VALUES ('a', '10.0.0.7')",
        "INSERT INTO sync.sync_runs (run_id, counts, started_at) VALUES ('r', '{\"created\": 4}', to_timestamp(1000))",
    )
    with web.database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))
    return web


def test_the_figures_are_those_of_the_database(busy: Web) -> None:
    found = samples(busy.client)
    assert (found["zk_entries", "parked"], found["zk_entries", "failed"]) == (2, 3)
    by_age = [found["zk_conflicts_open", age, "unmapped_user"] for age in ("day", "week")]
    assert by_age == [1, 1]
    assert 30 * 3600 <= found["zk_conflict_oldest_seconds", "unmapped_user"] < 31 * 3600
    assert (found["zk_day_requests_waiting", "a"], found["zk_day_requests_waiting", "b"]) == (1, 1)
    assert (found["zk_days_waiting",], found["zk_deliveries_waiting",], found["zk_failed_logins",]) == (1, 1, 1)
    assert (found["zk_last_run_entries", "created"], found["zk_last_run_entries", "failed"]) == (4, 0)
    assert found["zk_last_run_timestamp_seconds",] == 1000


def test_an_empty_database_has_its_figures_too(web: Web) -> None:
    found = samples(web.client)
    assert found["zk_days_waiting",] == 0
    assert ("zk_lag_seconds",) not in found


@pytest.mark.usefixtures("fresh")
def test_the_lag_counts_from_the_last_sync_that_reached_its_day(web: Web) -> None:
    with web.database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO sync.sync_runs (run_id, counts, carried_out_until, carried_out_at) "
                "VALUES ('r', '{}', (now() AT TIME ZONE 'UTC')::date, now() - interval '1 second')"
            )
        )
    assert 0 <= samples(web.client)["zk_lag_seconds",] < 60


def test_requests_are_counted_by_route_template_and_never_by_path(web: Web) -> None:
    for path in ("/api/v1/webhooks/secret-name", "/api/v1/webhooks/other", "/nothing/here", "/nor/there"):
        web.client.post(path)
    counts = [
        (key[2], value) for key, value in samples(web.client).items() if key[0] == "zk_http_request_seconds_count"
    ]
    assert sum(value for route, value in counts if route == metrics.UNMATCHED) == 2
    assert sum(value for route, value in counts if route.startswith("/api/v1/webhooks/{")) == 2
    assert not [route for route, _ in counts if "secret-name" in route or "here" in route]


def test_many_scrapes_ask_the_database_once(busy: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SECONDS_VALID", 60)
    before = samples(busy.client)["zk_days_waiting",]
    with busy.database.transaction() as connection:
        connection.execute(text("DELETE FROM sync.day_requests"))
    assert samples(busy.client)["zk_days_waiting",] == before


def test_from_elsewhere_it_needs_a_viewer(web: Web, as_role: Callable[[str], httpx.Client]) -> None:
    refused(web.client.get("/metrics", headers=AFAR), 401, "")
    assert as_role("viewer").get("/metrics", headers=AFAR).status_code == 200
    assert web.client.get("/metrics").status_code == 200


def test_a_name_that_leads_to_this_machine_is_elsewhere(web: Web, as_role: Callable[[str], httpx.Client]) -> None:
    for host in ("attacker.example", "attacker.example:8000", "127.0.0.1.attacker.example"):
        refused(web.client.get("/metrics", headers={"host": host}), 401, "")
    assert web.client.get("/metrics", headers={"host": "localhost:8000"}).status_code == 200
    assert as_role("viewer").get("/metrics", headers={"host": "zk.example.com"}).status_code == 200
