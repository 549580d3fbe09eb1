"""The samples in README.md and docs/ are read by what reads such files: settings, YAML, TOML, Python, log lines."""

import inspect
import json
import logging
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from zk_pipeline.connectors.conformance import SourceConformance, TargetConformance
from zk_pipeline.connectors.plugins import SOURCES, TARGETS
from zk_pipeline.runtime import logs
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.runtime.logs import JsonFormatter
from zk_pipeline.runtime.settings import Settings
from zk_pipeline_tests.documented import PAGES, blocks, steps

DOCS = PROJECT / "docs"
LANGUAGES = {"console", "csv", "ini", "json", "mermaid", "python", "sh", "text", "toml", "yaml"}
"""Of blocks. All are run or read by a test but `text`, `mermaid` and `ini`: drawings, parts of outputs, a unit."""
ASKED = r"Supply the fixture '(\w+)'"
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]


def yaml_blocks(page: str) -> list[dict[str, Any]]:
    """The YAML blocks of a page, without the tag that compose knows alone."""
    return [yaml.safe_load(block.text.replace("!override", "")) for block in blocks(DOCS / page, "yaml")]


def settings_of(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings with these variables alone."""
    for name in [name for name in os.environ if name.startswith("ZK_")]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return Settings(_env_file=None)  # pyright: ignore[reportCallIssue]


def examples() -> dict[str, str]:
    """Each setting with its example in the table of docs/configuration.md."""
    text = (DOCS / "configuration.md").read_text().partition("## Variables of single commands")[0]
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `ZK_")]
    cells = {row[0].strip("` "): row[4].strip() for row in rows}
    return {name: cell.strip("`") for name, cell in cells.items() if re.fullmatch(r"`[^`]+`", cell)}


def inline() -> list[tuple[str, str]]:
    """Each `ZK_NAME=value` in running text and in commented lines of blocks."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return sorted(set(re.findall(r"\b(ZK_[A-Z_]+)=([^\s`;,.)…]+)", text)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_its_language(page: Path):
    opened = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[::2]
    assert set(opened) <= LANGUAGES


@pytest.mark.parametrize("name", examples())
def test_the_example_of_a_setting_is_taken(name: str, monkeypatch: pytest.MonkeyPatch):
    with_url = {"ZK_DATABASE_URL": "postgresql://zk@db/zk", "ZK_ENCRYPTION_KEY": "x"} if "URL" in name else {}
    settings = settings_of({**with_url, name: examples()[name]}, monkeypatch)
    assert name.removeprefix("ZK_").lower() in settings.model_fields_set


@pytest.mark.parametrize(("name", "value"), inline())
def test_a_setting_in_running_text_is_taken(name: str, value: str, monkeypatch: pytest.MonkeyPatch):
    assert settings_of({name: value}, monkeypatch).model_fields_set == {name.removeprefix("ZK_").lower()}


def test_every_service_that_a_docker_command_names_is_one_of_compose():
    commands = [step.command for page in PAGES for step in steps(page)]
    commands += re.findall(r"`(docker compose[^`]+)`", " ".join((DOCS / "deployment.md").read_text().split()))
    called = [re.search(r"docker compose .*?\b(?:exec|run|stop|cp|logs) (?:-\S+ )*(.+)", line) for line in commands]
    stopped = {word for found in called if found for word in words_of_services(found[1])}
    assert len(stopped) > 5
    assert stopped <= set(COMPOSE)


def words_of_services(rest: str) -> list[str]:
    """The services that the rest of a command names: one before a command or a path, or several."""
    words = rest.replace(":", " ").split()
    return words if set(words) <= set(COMPOSE) else words[:1]


def test_the_job_that_kubectl_waits_for_is_in_the_manifests():
    (waits,) = [step.command for step in steps(DOCS / "deployment.md") if "wait --for" in step.command]
    found = re.search(r"job/(\S+)", waits)
    assert found is not None
    assert f"name: {found[1]}" in (PROJECT / "deploy" / "kubernetes" / "zk-pipeline.yaml").read_text()


def test_the_entry_point_is_in_a_group_that_is_looked_into():
    (block,) = blocks(DOCS / "connectors.md", "toml")
    assert set(tomllib.loads(block.text)["project"]["entry-points"]) == {SOURCES}
    assert f'"{TARGETS}"' in block.text


@pytest.mark.parametrize("suite", [SourceConformance, TargetConformance])
def test_the_page_names_every_fixture_that_the_suite_asks_for(suite: type):
    asked = {found for part in suite.__mro__[:2] for found in re.findall(ASKED, inspect.getsource(part))}
    assert len(asked) == 4
    page = (DOCS / "connectors.md").read_text()
    assert {name for name in asked if f"| `{name}`" not in page} == set()


def test_a_line_of_the_log_has_the_fields_of_the_page():
    (shown,) = [one for block in blocks(DOCS / "operations.md", "json") if "logger" in (one := json.loads(block.text))]
    record = logging.LogRecord(shown["logger"], logging.WARNING, "", 1, shown["message"], (), None)
    with logs.log_context(**{name: shown[name] for name in ("run_id", "day", "entry_id")}):
        told = json.loads(JsonFormatter().format(record))
    assert {**told, "time": shown["time"]} == shown
    assert len(told["time"]) == len(shown["time"])
