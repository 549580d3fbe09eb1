"""Doing once what is asked for twice: an act with a key is done by the first who asks, and all get its answer.

A double click, a resent request and a proxy that tries again send the same key. It is the asker's own, made when the
dialog opened or the request was built, and it is kept for a day. An act that failed changed nothing and is forgotten,
so that the same key may try again. One whose process died is neither: what came of it is for a person to look at.
"""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.errors import OperationError, StaleError
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import acts

KEPT = timedelta(days=1)
ABANDONED = timedelta(minutes=2)
"""No act takes so long: its process is gone."""

_current: ContextVar[str] = ContextVar("zk_act", default="")


class KeyReusedError(OperationError):
    """A key was used for something else before."""


class CutOffError(StaleError):
    """The first request with a key was never answered."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: the asker's key, which operation it is, and everything that was given to it."""

    actor: Actor
    key: str
    route: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: a status of HTTP, and the content as text."""

    status: int
    content: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be done: to act (`id`), to give the first answer (`answer`), or, with neither, to wait for it."""

    id: int | None = None
    answer: Answer | None = None


def begin(runtime: Runtime, asked: Asked) -> Turn:
    """Take an act on, or find out what became of it; whoever gets an id must `finish` or `forget` it.

    Raises `KeyReusedError` and `CutOffError`.
    """
    now, marks = datetime.now(UTC), _marks(runtime, asked.body)
    with runtime.database.transaction() as connection:
        acts.forget_old(connection, asked.actor.name, asked.key, now - KEPT)
        taken_on = acts.take_on(connection, asked.actor.name, asked.key, asked.route, marks[0])
        if taken_on is not None:
            return Turn(taken_on)
        before = acts.find(connection, asked.actor.name, asked.key)
    if before is None:  # It failed just now.
        return Turn()
    if before.route != asked.route or before.body_hash not in marks:
        raise KeyReusedError(
            f"The key {asked.key[:40]!r} was sent with another request before. Send this one with a key of its own."
        )
    if before.status is not None and before.answer is not None:
        return Turn(answer=Answer(before.status, runtime.cipher.decrypt(before.answer)))
    if before.asked_at < now - ABANDONED:
        raise CutOffError(
            f"The first request with the key {asked.key[:40]!r} was cut off before it was answered. Look at what came "
            "of it, and if it was not done, send it with a new key."
        )
    return Turn()


def finish(runtime: Runtime, act_id: int, answer: Answer) -> None:
    """Keep the answer for whoever asks again."""
    with runtime.database.transaction() as connection:
        acts.finish(connection, act_id, answer.status, runtime.cipher.encrypt(answer.content))


def forget(runtime: Runtime, act_id: int) -> None:
    """Let the key be used again: nothing was done, or what was done is no act."""
    with runtime.database.transaction() as connection:
        acts.forget(connection, act_id)


@contextmanager
def under_key(asked: Asked) -> Iterator[None]:
    """What is started within the block is started for this act."""
    token = _current.set(f"{asked.actor.name}:{asked.key}")
    try:
        yield
    finally:
        _current.reset(token)


def current() -> str:
    """What the act that is being done is known by; empty for one without a key."""
    return _current.get()


def _marks(runtime: Runtime, body: bytes) -> tuple[str, ...]:
    """Hashes of the body under each key, the newest first: a plain hash of a password could be guessed."""
    return tuple(hmac.digest(key, body, "sha256").hex() for key in runtime.cipher.derived("zk acts"))
