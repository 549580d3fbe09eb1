"""Each vital sign, by causing what it is for: in real databases, told by health, metrics, doctor and alerts alike."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from zk_pipeline.domain import vital_figures
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.observe import alerts, measurements, vital_signs
from zk_pipeline.observe.measurements import pace_of
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime import dagster_internals
from zk_pipeline.runtime.environment import PROJECT, Environment
from zk_pipeline.web import health
from zk_pipeline.web.app import create_app
from zk_pipeline_tests.defs.causing import CAUSES, Scene, ageing_request, without
from zk_pipeline_tests.defs.world import World
from zk_pipeline_tests.disks import fill, small_disk
from zk_pipeline_tests.observe.alerts.receiver import Receiver, open_receiver
from zk_pipeline_tests.web.conftest import serving

pytestmark = pytest.mark.dagster

PROMPT = 0.2
"""Seconds between two looks in these tests."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as receiver:
        yield receiver


@pytest.fixture
def settings(surroundings: pytest.MonkeyPatch, receiver: Receiver) -> dict[str, Any]:
    """Somebody is told."""
    surroundings.setenv("ZK_ALERT_URLS", receiver.url)
    surroundings.setenv("ZK_DAGSTER_UI", "https://dagster.example.com")
    return {}


@pytest.fixture
def scene(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """An installation that is well, on whatever room the disk of this machine has left."""
    for bound in ("FREE_TO_WORK", "FREE_TO_BE_EASY", "PERCENT_TO_BE_EASY"):
        monkeypatch.setattr(vital_signs, bound, 0)
    with dg.DagsterInstance.get() as instance:
        scene = Scene(world, instance)
        scene.be_well()
        yield scene


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other quickly, and what fails is told at once."""
    for module in (measurements, health):
        monkeypatch.setattr(module, "SECONDS_BETWEEN_MEASUREMENTS", PROMPT)
    monkeypatch.setattr(measurements, "SECONDS_BETWEEN_ANSWERS", PROMPT)
    monkeypatch.setattr(alerts, "SETTLED_AFTER", timedelta(0))


# ---- What is told ----


def body(client: httpx.Client) -> dict[str, Any]:
    return client.get(health.PATH).json()


def levels(client: httpx.Client) -> dict[str, str]:
    return {name: sign["status"] for name, sign in body(client)["signs"].items()}


def metric(client: httpx.Client, sign: str) -> float:
    """The level of a sign as Prometheus scrapes it."""
    (value,) = [
        sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == "zk_vital_sign" and sample.labels == {"sign": sign}
    ]
    return value


@pytest.mark.usefixtures("prompt")
@pytest.mark.parametrize(("sign", "cause"), CAUSES.values(), ids=CAUSES)
def test_what_is_wrong_is_told_by_all_and_once(
    scene: Scene, receiver: Receiver, sign: str, cause: Callable[[Scene], AbstractContextManager[None]]
) -> None:
    title = f"zk_pipeline: {vital_figures.TITLES.get(sign, sign.capitalize())}"
    with serving(create_app(scene.runtime)) as client:
        assert wait_until(lambda: set(levels(client).values()) == {"ok"}, 90), body(client)
        assert scene.report().ok
        with cause(scene):
            assert wait_until(lambda: levels(client)[sign] == "fail", 90), body(client)
            answer = client.get(health.PATH)
            assert (answer.status_code, answer.json()["status"], answer.json()["database"]) == (200, "fail", "ok")
            assert metric(client, sign) == 2
            assert not scene.report().ok
            assert scene.findings()[title.rpartition(": ")[2]].level is Level.FAIL
            assert wait_until(lambda: receiver.titles.count(f"{title}: fails") > 0, 90)
            scene.tell()
        assert wait_until(lambda: levels(client)[sign] == "ok", 90), body(client)
        assert wait_until(lambda: f"{title}: good again" in receiver.titles, 90)
        scene.tell()
    assert receiver.titles == [f"{title}: fails", f"{title}: good again"]
    assert receiver.messages[0]["message"].endswith("https://dagster.example.com")


def test_a_run_that_waits_behind_a_working_one_is_not_stuck(scene: Scene) -> None:
    working = scene.run(dg.DagsterRunStatus.STARTED, timedelta(minutes=40))
    scene.run(dg.DagsterRunStatus.QUEUED, timedelta(minutes=39))
    assert scene.findings()["Queue of runs"].level is Level.PASS
    scene.instance.report_run_canceled(working)
    assert scene.findings()["Queue of runs"].level is Level.PASS, "its turn has just come"
    scene.in_dagster(f"UPDATE runs SET end_time = end_time - 360 WHERE run_id = '{working.run_id}'")
    assert scene.findings()["Queue of runs"].level is Level.FAIL


@pytest.mark.usefixtures("prompt")
def test_a_database_that_is_down_is_told_past_the_book_once_for_each_outage(scene: Scene, receiver: Receiver) -> None:
    url = scene.runtime.settings.database_url
    assert url is not None
    with serving(create_app(scene.runtime)) as client:
        assert wait_until(lambda: set(levels(client).values()) == {"ok"}, 90), body(client)
        for outage in (1, 2):
            with without(url.get_secret_value()):
                assert wait_until(lambda: client.get(health.PATH).status_code == 503, 90)
                answer = client.get(health.PATH)
                assert (answer.json()["status"], answer.json()["database"]) == ("fail", "fail")
                assert metric(client, "database") == 2
                assert scene.findings()["Database"].level is Level.FAIL
                assert wait_until(lambda: len(receiver.messages) == 2 * outage - 1, 90)  # noqa: B023
                time.sleep(3 * PROMPT)  # Nothing more may come.
            assert wait_until(lambda: client.get(health.PATH).status_code == 200, 90)
            assert wait_until(lambda: len(receiver.messages) == 2 * outage, 90)  # noqa: B023
    assert receiver.titles == ["zk_pipeline: Database: fails", "zk_pipeline: Database: good again"] * 2


@pytest.mark.usefixtures("prompt")
def test_a_full_disk_is_told(scene: Scene, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vital_signs, "FREE_TO_WORK", 10 * vital_figures.MEGABYTE)
    monkeypatch.setattr(vital_signs, "FREE_TO_BE_EASY", 20 * vital_figures.MEGABYTE)
    with small_disk(tmp_path, "40m") as disk:
        scene.world = replace(scene.world, environment=at_home(scene.world.environment, disk))
        with serving(create_app(scene.runtime)) as client:
            assert wait_until(lambda: levels(client)["disk"] == "ok", 90), body(client)
            filler = fill(disk, left=5 * vital_figures.MEGABYTE)
            assert wait_until(lambda: levels(client)["disk"] == "fail", 90)
            assert str(disk) not in client.get(health.PATH).text, "health is for everybody"
            assert metric(client, "disk") == 2
            assert not scene.report().ok
            assert str(disk) in scene.findings()["Disk space"].text
            assert wait_until(lambda: receiver.titles == ["zk_pipeline: Disk space: fails"], 90)
            filler.unlink()
            assert wait_until(lambda: receiver.titles[1:] == ["zk_pipeline: Disk space: good again"], 90)


@pytest.mark.usefixtures("prompt")
def test_a_measurement_that_hangs_stops_nothing_but_itself(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vital_signs, "NOT_MEASURED_AFTER", timedelta(seconds=2))
    monkeypatch.setattr(measurements, "LONGEST_QUERY", 600_000)
    with serving(create_app(scene.runtime)) as client:
        assert wait_until(lambda: set(levels(client).values()) == {"ok"}, 90), body(client)
        with scene.runtime.database.transaction() as connection:
            connection.execute(text("LOCK sync.day_requests"))
            assert wait_until(lambda: levels(client)["day_requests"] == "fail", 90)
            began = time.monotonic()
            answer = client.get(health.PATH)
            assert time.monotonic() - began < 1
            found = answer.json()["signs"]
            assert found["day_requests"]["text"].startswith("Not measured for ")
            assert found["day_requests"]["age_seconds"] >= 2
            assert {found[name]["status"] for name in ("database", "disk", "daemons", "queue")} == {"ok"}
            assert answer.status_code == 200
        assert wait_until(lambda: levels(client)["day_requests"] == "ok", 90)


def test_a_dead_daemon_is_told_and_not_all_that_follows_from_it(scene: Scene, receiver: Receiver) -> None:
    scene.beat(ago=3600)
    scene.in_dagster('UPDATE job_ticks SET "timestamp" = "timestamp" - interval \'1 hour\'')
    with ageing_request(scene), measurements.measure_once(scene.runtime) as signs:
        failing = {sign.name for sign in signs if sign.level is Level.FAIL}
        assert failing == {"daemons", "automations", "day_requests"}
        assert [sign.name for sign in vital_signs.root_failures(signs)] == ["daemons"]
    assert receiver.messages == []


def test_the_sensor_says_why_it_cannot_tell_instead_of_failing(scene: Scene, surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_ALERT_AFTER", "never")
    assert scene.tell().startswith("ZK_ALERT_AFTER='never'")


def test_the_judgement_knows_daemons_sensors_and_limits_as_dagster_has_them(scene: Scene) -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    assert set(dagster_internals.DAEMONS) == set(scene.instance.get_required_daemon_types())
    sensors = {sensor.name: sensor.minimum_interval_seconds for sensor in defs.sensors or []}
    ticks = pace_of(scene.runtime.settings).ticks
    assert ticks.keys() == sensors.keys()
    assert all(timedelta(seconds=seconds or 30) <= ticks[name] for name, seconds in sensors.items())
    config = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    assert timedelta(seconds=config["run_monitoring"]["max_runtime_seconds"]) < vital_signs.RUN_WORKS_FOR
    assert config["concurrency"]["runs"]["max_concurrent_runs"] == vital_signs.RUNS_AT_ONCE


def at_home(environment: Environment, home: Path) -> Environment:
    """The same on another disk."""
    settings = environment.runtime.settings.model_copy(update={"home": home})
    return replace(environment, home=home, runtime=replace(environment.runtime, settings=settings))
