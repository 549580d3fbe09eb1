"""What the benchmarks share: the measurement, repetition, and a deployment that is thrown away afterwards."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from zk_pipeline.runtime.environment import Environment, prepare
from zk_pipeline.runtime.settings import ENV_FILE, load_settings
from zk_sandbox.demo import KIMAI_TOKEN, ZAMMAD_TOKEN
from zk_sandbox.server import SandboxProcess

if TYPE_CHECKING:
    from zk_pipeline.cli.syncing import SyncReport

ZONE = "Europe/Berlin"
"""The one zone of all deployments: the partitions take it when they are first imported."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the table. `limit` is a sentence such as "≤ 1.05"; a line that only informs has none and is ok.

    `values` are those of which `value` is one or the middle, where they are worth keeping.
    """

    name: str
    value: float
    unit: str
    limit: str
    ok: bool
    note: str = ""
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing of what was measured, for a file of this name."""

    name: str
    svg: str


def at_most(name: str, value: float, limit: float, unit: str = "", note: str = "") -> Measurement:
    """A measurement that must not exceed its limit."""
    return Measurement(name, value, unit, f"≤ {limit:g}", value <= limit, note)


def at_least(name: str, value: float, limit: float, unit: str = "", note: str = "") -> Measurement:
    """A measurement that must reach its limit."""
    return Measurement(name, value, unit, f"≥ {limit:g}", value >= limit, note)


def for_information(name: str, value: float, unit: str, note: str = "") -> Measurement:
    """A measurement without limit."""
    return Measurement(name, value, unit, "", ok=True, note=note)


def alternate(first: Callable[[], Value], second: Callable[[], Value], pairs: int) -> tuple[list[Value], list[Value]]:
    """Both in turn, so that what else the machine does meets them alike; the order changes from pair to pair."""
    firsts: list[Value] = []
    seconds: list[Value] = []
    for number in range(pairs):
        if number % 2:
            seconds.append(second())
            firsts.append(first())
        else:
            firsts.append(first())
            seconds.append(second())
    return firsts, seconds


def median_ratio(dividends: list[float], divisors: list[float]) -> float:
    """The median of the ratios pair by pair: the halves of a pair ran under the same conditions."""
    return median(dividend / divisor for dividend, divisor in zip(dividends, divisors, strict=True))


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the systems answer, and the tokens for them."""

    zammad_url: str
    kimai_url: str
    zammad_token: str = ZAMMAD_TOKEN
    kimai_token: str = KIMAI_TOKEN


@contextmanager
def deployment(systems: SandboxProcess | Addresses | None = None) -> Iterator[Environment]:
    """A fresh deployment with an embedded database, connected to these systems or to none that exist."""
    zammad = (systems.zammad_url, systems.zammad_token) if systems else ("http://zammad.invalid", "unused")
    kimai = (systems.kimai_url, systems.kimai_token) if systems else ("http://kimai.invalid", "unused")
    with TemporaryDirectory(prefix="zk-bench-") as home:
        given = {
            ENV_FILE: os.devnull,
            "ZK_HOME": home,
            "ZK_TIMEZONE": ZONE,
            "ZK_ZAMMAD_URL": zammad[0],
            "ZK_ZAMMAD_TOKEN": zammad[1],
            "ZK_KIMAI_URL": kimai[0],
            "ZK_KIMAI_TOKEN": kimai[1],
        }
        with _environment(given), prepare(load_settings()) as environment:
            yield environment


def sync(environment: Environment, first: date, last: date) -> "SyncReport":
    """Run the whole chain over these days through Dagster, in this process."""
    # Dagster takes a second to import, and the partitions take their zone from the deployment.
    from zk_pipeline.cli.syncing import sync_days  # noqa: PLC0415
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    return sync_days(environment.runtime, defs.resolve_job_def("sync"), first, last, lambda _: None)


@contextmanager
def _environment(given: Mapping[str, str]) -> Iterator[None]:
    """Only these of our variables, and afterwards the environment as it was."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(("ZK_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
