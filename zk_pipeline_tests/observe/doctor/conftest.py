"""`zk doctor` on the homes and simulated systems of the command tests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from zk_pipeline.observe.doctor.report import Installation
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline_tests.cli.conftest import Home, Sandbox, Zk, _systems, homes, sandbox, start, zk, zk_home
from zk_sandbox.demo import KIMAI_TOKEN

__all__ = ["_systems", "homes", "sandbox", "start", "zk", "zk_home"]

SECRETS = ("zammad-sandbox-token", "kimai-sandbox-token")
WEBHOOK_SECRET = "q7Jx0mCkP3vRt9Zs-webhook"


@dataclass(frozen=True)
class Told:
    """What a `zk doctor --json` printed."""

    exit_code: int
    report: dict[str, Any]

    def section(self, name: str) -> list[dict[str, str]]:
        (found,) = [row["findings"] for row in self.report["sections"] if row["name"] == name]
        return found

    def level(self, name: str) -> str:
        (found,) = [row["level"] for row in self.report["sections"] if row["name"] == name]
        return found

    def finding(self, name: str, subject: str) -> dict[str, str]:
        (found,) = [row for row in self.section(name) if row["subject"] == subject]
        return found

    def failed(self) -> set[str]:
        return {row["name"] for row in self.report["sections"] if row["level"] == "fail"}


@dataclass(frozen=True)
class Doctor:
    """Runs `zk doctor --json`; no secret may ever be in what it prints."""

    zk: Zk

    def __call__(self, **variables: str) -> Told:
        result = self.zk("doctor", "--json", **{"ZK_HTTP_ATTEMPTS": "1", **variables})
        key = variables.get("ZK_ENCRYPTION_KEY", self.zk.home.variables["ZK_ENCRYPTION_KEY"])
        for secret in (*SECRETS, WEBHOOK_SECRET, key):
            assert secret not in result.stdout + result.stderr
        return Told(result.exit_code, json.loads(result.stdout))


@pytest.fixture
def doctor(zk: Zk) -> Doctor:
    return Doctor(zk)


@contextmanager
def installation(home: Home, now: datetime | None = None, **variables: str) -> Iterator[Installation]:
    """The installation in this home, as if it were that moment."""
    with patch.dict("os.environ", {**home.variables, **variables}), prepare(load_settings()) as ready:
        yield Installation(ready.runtime, ready.home, now or datetime.now(UTC))


def everything_of(sandbox: Sandbox) -> tuple[Any, Any]:
    """The whole state of both systems, but for when tokens were used last."""
    zammad, kimai = sandbox.zammad.state(), sandbox.kimai.state()
    for token in zammad["state"]["tokens"]:
        token["last_used_at"] = None
    return zammad, kimai


def kimai(home: Home, method: str, path: str, body: Any) -> Any:
    """A call of Kimai's API, as its administrator may send it."""
    answer = httpx.request(
        method,
        home.variables["ZK_KIMAI_URL"] + path,
        json=body,
        headers={"Authorization": f"Bearer {KIMAI_TOKEN}"},
        timeout=120,
        trust_env=False,
    )
    return answer.raise_for_status().json()
