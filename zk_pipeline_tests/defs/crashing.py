"""Runs of the chain in processes of their own, and the places at which such a process can be killed."""

import itertools
import multiprocessing
import os
from collections.abc import Callable, Mapping
from datetime import date
from multiprocessing.synchronize import Event
from typing import Any

import httpx

from zk_pipeline.cli.syncing import sync_days
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.definitions import defs
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.push.outcomes import OutcomeRecorder
from zk_pipeline.stages.push.pusher import Pusher
from zk_pipeline.stages.push.undo import UndoRecorder
from zk_pipeline.stages.reconcile import Reconciliation
from zk_pipeline.store import adjustments, audit, ledger
from zk_pipeline.store.database import HeldLock
from zk_pipeline_tests.dagster_economy import economize
from zk_pipeline_tests.defs.asking import undo

KILLED = 9
"""Exit code of a process that was killed where it should be."""

PROCESSES = multiprocessing.get_context("forkserver")
"""One process imports Dagster; every other is a fork of it."""
PROCESSES.set_forkserver_preload([__name__])
economize()

Place = Callable[[], None]


def die(*_: object, **__: object) -> None:
    """End at once: nothing is closed, rolled back or written."""
    os._exit(KILLED)


class Child:
    """A process that runs the chain over a day, as this process would.

    It is killed at a place of `PLACES`. With `waits_at`, a name of `STOPS`, it sets `reached` there and waits for `go`.
    """

    def __init__(self, day: date, *, killed: str = "nowhere", waits_at: str = "nowhere") -> None:
        self.reached, self.go = PROCESSES.Event(), PROCESSES.Event()
        variables = {name: value for name, value in os.environ.items() if name.startswith(("ZK_", "DAGSTER_"))}
        self._process = PROCESSES.Process(target=_sync, args=(variables, day, killed, waits_at, self.reached, self.go))
        self._process.start()

    def ended(self) -> int | None:
        """Its exit code, once it has ended."""
        self._process.join(60)
        return self._process.exitcode


def _sync(variables: Mapping[str, str], day: date, killed: str, waits_at: str, reached: Event, go: Event) -> None:
    os.environ.update(variables)
    os.chdir(variables["ZK_HOME"])
    PLACES[killed]()
    if waits_at in STOPS:
        before(*STOPS[waits_at], lambda *_: (reached.set(), go.wait(60)))
    with prepare(load_settings()) as environment:
        sync_days(environment.runtime, defs.resolve_job_def("sync"), day, day, lambda _: None)


def undo_killed(run_id: str, place: str, number: int = 1) -> int | None:
    """Undo a run in a process that is killed when it comes to a place of `UNDO_PLACES` the n-th time; its exit code."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(("ZK_", "DAGSTER_"))}
    process = PROCESSES.Process(target=_undo, args=(variables, run_id, place, number))
    process.start()
    process.join(60)
    return process.exitcode


def _undo(variables: Mapping[str, str], run_id: str, place: str, number: int) -> None:
    os.environ.update(variables)
    os.chdir(variables["ZK_HOME"])
    UNDO_PLACES[place](number)
    with prepare(load_settings()):
        undo(run_id)


def before(owner: Any, name: str, act: Callable[..., object]) -> None:
    """Do something before each call of a function."""
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        act(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, replaced)


def after(owner: Any, name: str, act: Callable[..., object]) -> None:
    """Do something after each call of a function."""
    original = getattr(owner, name)

    def replaced(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        act(*args, **kwargs)
        return result

    setattr(owner, name, replaced)


def _while_sending(method: str, event: str, number: int = 1) -> None:
    """Die at an event of the HTTP connection that carries the n-th write of this method to a time sheet."""
    _while_requesting(lambda verb, path: verb == method and "/api/timesheets" in path, event, number)


def _while_requesting(counts: Callable[[str, str], bool], event: str, number: int) -> None:
    """Die at an event of the HTTP connection that carries the n-th request of those that count."""
    original = httpx.Client.request
    seen: list[str] = []

    def request(client: httpx.Client, verb: str, url: Any, **kwargs: Any) -> httpx.Response:
        if counts(verb, str(url)):
            seen.append(verb)
            if len(seen) == number:
                kwargs["extensions"] = {"trace": lambda name, _: die() if name == event else None}
        return original(client, verb, url, **kwargs)

    httpx.Client.request = request  # type: ignore[method-assign]


def _is_write(method: str, path: str) -> bool:
    del path
    return method != "GET"


def _after_steps(act: Callable[..., None]) -> None:
    """Do something after each committed step of an undo."""
    for name in ("deleted", "restored", "unlinked", "created", "removed"):
        after(UndoRecorder, name, act)


def _at(number: int) -> Callable[..., None]:
    """Die when called the n-th time."""
    calls = itertools.count(1)
    return lambda *_, **__: die() if next(calls) == number else None


SENT = "http11.send_request_body.complete"
ANSWERED = "http11.receive_response_headers.complete"

STOPS: Mapping[str, tuple[Any, str]] = {
    "before its turn": (Pusher, "day"),
    "before the intent": (OutcomeRecorder, "intend"),
    "before the commit": (ledger, "confirm"),
    "before its turn is proven": (HeldLock, "require"),
}

PLACES: Mapping[str, Place] = {
    "nowhere": lambda: None,
    "before the intent": lambda: before(OutcomeRecorder, "intend", die),
    "after the intent": lambda: after(OutcomeRecorder, "intend", die),
    "within the intent's commit": lambda: after(ledger, "intend", die),
    "when the POST was sent": lambda: _while_sending("POST", SENT),
    "when the second POST was sent": lambda: _while_sending("POST", SENT, 2),
    "when the answer began": lambda: _while_sending("POST", ANSWERED),
    "after the answer": lambda: after(KimaiConnector, "create", die),
    "before the commit": lambda: before(OutcomeRecorder, "confirm", lambda _book, done, *_: die() if done else None),
    "within the commit": lambda: after(ledger, "confirm", die),
    "at the end of the commit": lambda: after(audit, "append", die),
    "after the commit": lambda: after(OutcomeRecorder, "confirm", lambda _book, done, *_: die() if done else None),
    "while in doubt": lambda: after(KimaiConnector, "find", die),
    "after the adjustment": lambda: after(adjustments, "make", die),
    "after the plan": lambda: after(Reconciliation, "day", die),
    "when the PATCH was sent": lambda: _while_sending("PATCH", SENT),
    "when the PATCH was answered": lambda: _while_sending("PATCH", ANSWERED),
}

UNDO_PLACES: Mapping[str, Callable[[int], None]] = {
    "when a write was sent": lambda number: _while_requesting(_is_write, SENT, number),
    "when a write was answered": lambda number: _while_requesting(_is_write, ANSWERED, number),
    "within a commit": lambda number: after(ledger, "mark_undone", _at(number)),
    "after a commit": lambda number: _after_steps(_at(number)),
    "after the intent": lambda number: after(UndoRecorder, "intend", _at(number)),
}
