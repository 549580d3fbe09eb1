"""A system that is too old is told of at the start, and nothing else is."""

import socket

import pytest

from zk_pipeline.operate import connectors
from zk_pipeline_tests.defs.world import World


def told(world: World) -> list[str]:
    sentences: list[str] = []
    connectors.report_in_background(world.environment.runtime, sentences.append).join(30)
    return sentences


def test_systems_of_today_are_nothing_to_tell_of(world: World) -> None:
    assert told(world) == []


def test_a_kimai_that_is_too_old_is_told_with_its_remedy(world: World) -> None:
    world.office.control.configure(version="2.10.0")
    assert told(world) == ["Kimai 2.10.0 is too old. Update Kimai to 2.14 or newer."]


def test_a_zammad_that_is_too_old_is_told_with_its_remedy(world: World) -> None:
    world.desk.control.add_fault(
        "respond",
        path="/api/v1/version$",
        status=200,
        text='{"version": "6.0.0"}',
        headers={"content-type": "application/json"},
    )
    assert told(world) == ["Zammad 6.0.0 cannot list all time accountings. Update Zammad to 6.1 or newer."]


def test_a_system_that_is_away_is_left_to_the_doctor(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "SECONDS_TO_ANSWER", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in ("zammad", "kimai"):
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            world.execute("UPDATE sync.connectors SET base_url = :url WHERE name = :name", url=url, name=name)
        assert told(world) == []
