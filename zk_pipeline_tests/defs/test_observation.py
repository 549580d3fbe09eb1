"""What monitoring gets after real runs, and that dashboard and alert rules ask for nothing else."""

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import httpx
import pytest
import uvicorn
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from prometheus_client.parser import text_string_to_metric_families

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.connectors.errors import AuthenticationError
from zk_pipeline.defs.housekeeping import verify_audit
from zk_pipeline.defs.resources import resources_of_settings
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate import connectors
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.stages.source_changes import ChangeFeed
from zk_pipeline.web import metrics
from zk_pipeline.web.app import create_app
from zk_pipeline_tests.defs.world import World
from zk_pipeline_tests.deploy.network import HOST, free_ports

pytestmark = pytest.mark.dagster

FOLDER = PROJECT / "deploy" / "observation"
REFUSAL = '{"code": 400, "message": "Validation Failed", "errors": {"errors": ["Not today."]}}'
CREATE = {"method": "POST", "path": "/api/timesheets$"}

Samples = dict[tuple[str, ...], float]


@pytest.fixture
def figures(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Scrapes the web app of the world, as Prometheus on this machine does."""
    monkeypatch.setattr(metrics, "SECONDS_VALID", 0)
    monkeypatch.setattr(metrics, "DAGSTER_SECONDS_VALID", 0)
    (port,) = free_ports(1)
    config = uvicorn.Config(create_app(world.environment.runtime), host=HOST, port=port, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    address = f"http://{HOST}:{port}/metrics"
    transport = httpx.HTTPTransport(retries=5)  # It may not listen yet.
    with httpx.Client(transport=transport, trust_env=False) as client:
        yield lambda: scraped(client, address)
    server.should_exit = True
    thread.join()


def scraped(client: httpx.Client, address: str) -> Samples:
    """Every sample by its name and the values of its labels, in alphabetical order of these."""
    answer = client.get(address)
    assert answer.status_code == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def asked_for() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboard and of the alert rules, with where it stands."""
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def tick(name: str) -> None:
    """A tick of an automation, recorded by Dagster as its daemon does."""
    with dg.DagsterInstance.get() as instance:
        begun = instance.create_tick(
            TickData("origin", name, InstigatorType.SENSOR, TickStatus.STARTED, time.time(), selector_id="selector")
        )
        instance.update_tick(begun.with_status(TickStatus.SKIPPED))


def test_requests_to_both_systems_are_counted_by_status_and_latency(world: World, figures: Any) -> None:
    world.office.control.add_fault("respond", **CREATE, status=400, text=REFUSAL, times=1)
    for agent in ("anna", "ben"):
        world.desk.book(30, agent=agent)
    world.sync()
    sent = world.office.control.requests().by_route
    first = figures()
    name = "zk_system_request_seconds_count"
    assert first[name, "write", "200", "kimai"] + first[name, "write", "400", "kimai"] == sum(
        number for route, number in sent.items() if not route.startswith("GET")
    )
    assert first[name, "write", "400", "kimai"] == 1
    assert first[name, "read", "200", "zammad"] > 0
    assert first["zk_system_request_seconds_bucket", "write", "+Inf", "400", "kimai"] == 1
    world.sync()
    assert figures()[name, "read", "200", "kimai"] > first[name, "read", "200", "kimai"]


def test_a_refused_token_is_told_until_a_new_one_was_stored(world: World, figures: Any) -> None:
    booking = world.desk.book(30)
    account = world.office.users["sync"]
    world.office.amend("users", account, tokens=())
    with pytest.raises(SyncFailedError, match=r"The token is unknown or expired\. Make a new API token"):
        world.sync()
    assert refused(figures()) == {"zammad": 0, "kimai": 1}
    world.office.amend("users", account, tokens=("renewed",))
    runtime, url = world.environment.runtime, world.environment.runtime.stored("target").base_url
    connectors.put(runtime, Actor("cli:tests", Role.ADMIN), kind="kimai", base_url=url, token="renewed")
    assert refused(figures()) == {"zammad": 0, "kimai": 0}
    world.sync()
    assert world.office.minutes() == {booking: [30]}


def test_a_refused_token_of_the_source_is_told_and_no_change_is_missed(world: World, figures: Any) -> None:
    feed = ChangeFeed(world.environment.runtime)
    feed.poll(datetime.now(UTC))
    world.desk.book(30, datetime.now(UTC))
    world.desk.control.add_fault("respond", status=401, times=1)
    later = datetime.now(UTC) + timedelta(minutes=1)
    with pytest.raises(AuthenticationError):
        feed.poll(later)
    assert refused(figures()) == {"zammad": 1, "kimai": 0}
    assert len(feed.poll(later + timedelta(minutes=1)).days) == 1
    assert refused(figures()) == {"zammad": 0, "kimai": 0}


def refused(found: Samples) -> dict[str, float]:
    """Whether each system refuses our token."""
    return {system: found["zk_token_refused", system] for system in ("zammad", "kimai")}


def test_dashboard_and_alerts_ask_for_figures_that_exist(world: World, figures: Any) -> None:
    world.desk.book(30)
    world.desk.book(45, agent="ben", ticket="globex", type_id=world.desk.server.add_type("Travel"))
    world.sync()
    world.execute("INSERT INTO sync.day_requests (day, reason) VALUES ('2025-10-06', 'person')")
    world.execute("UPDATE sync.sync_runs SET carried_out_until = (carried_out_at AT TIME ZONE 'Europe/Berlin')::date")
    with dg.DagsterInstance.get() as instance:
        verify_audit.execute_in_process(instance=instance, resources=resources_of_settings())
    tick("demand")
    figures()  # The first answer of the web app is counted in the second.
    known = {name for name, *_ in figures()}
    asked = {(place, name) for place, expr in asked_for() for name in re.findall(r"\bzk_[a-z_]+", expr)}
    asked -= {(place, "zk_pipeline") for place, _ in asked_for()}
    assert len(asked) > 20
    assert {(place, name) for place, name in asked if name not in known} == set()


def test_runs_jobs_and_ticks_tell_how_they_ended_and_how_long_they_took(world: World, figures: Any) -> None:
    world.sync()
    world.desk.control.add_fault("respond", status=401)
    with pytest.raises(SyncFailedError):
        world.sync()
    tick("demand")
    found = figures()
    assert (found["zk_runs", "sync", "SUCCESS"], found["zk_runs", "sync", "FAILURE"]) == (1, 1)
    assert found["zk_run_longest_seconds", "sync", "SUCCESS"] >= found["zk_run_median_seconds", "sync", "SUCCESS"] > 0
    assert found["zk_job_failed", "sync"] == 1
    assert time.time() - found["zk_job_succeeded_timestamp_seconds", "sync"] < 600
    assert found["zk_ticks", "demand", "SKIPPED"] == 1
    assert 0 < found["zk_tick_median_seconds", "demand", "SKIPPED"] < 60
    assert found["zk_dagster_up",] == 1


def test_each_alert_says_what_happened_and_what_to_do() -> None:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert all(rule["annotations"][name].endswith(".") for name in ("summary", "action"))
    names = [rule["alert"] for rule in group["rules"]]
    assert {"ZkVitalSign", "ZkRunsFail", "ZkStaleConflicts", "ZkNoBackup", "ZkAuditBroken", "ZkWebErrors"} <= set(names)
    assert len(set(names)) == len(names)


def test_prometheus_scrapes_the_route_and_reads_the_rules() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    (scrape,) = config["scrape_configs"]
    assert scrape["metrics_path"] == metrics.PATH
    assert all((FOLDER / name).exists() for name in config["rule_files"])


def test_the_panels_of_the_dashboard_have_a_place_and_a_number_of_their_own() -> None:
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(taken) == len(set(taken))
