"""One visit: a page of somebody who is signed in, what they may do there, and what happens when the session ends."""

import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import iscoroutine
from typing import Any, ParamSpec, TypeVar, get_type_hints

from nicegui import Client, ui
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from zk_pipeline.identity.actors import Actor, OperationError, Role
from zk_pipeline.identity.sign_in import SessionOverError
from zk_pipeline.operate import runs
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.authentication import Session
from zk_pipeline.web.console.words import Words
from zk_pipeline.web.errors import EXPLAINED
from zk_pipeline.web.once import once

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

EXPECTED: tuple[type[Exception], ...] = tuple(EXPLAINED)
"""Errors whose message may be shown to the visitor."""

_DONE = 200

_log = logging.getLogger(__name__)


def new_key() -> str:
    """An idempotency key for an act that is about to be shown."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in visitor: session, actor and name, as they were when the page was loaded."""

    session: Session
    actor: Actor
    name: str


class NotAllowedError(OperationError):
    """The role does not allow it."""


@dataclass(slots=True)
class Visit:
    """What every section works with; see the package's docstring."""

    runtime: Runtime
    words: Words
    visitor: Visitor
    actor: Actor
    client: Client
    refreshers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What is done when something changed while the page is looked at."""

    def may(self, needed: Role) -> bool:
        """Whether the visitor's role covers this one: what it may not do is not offered."""
        return self.actor.role.covers(needed)

    async def ask(self, operation: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """What an operation returns that runs beside the event loop, for as long as the session lasts.

        Raises `SessionOverError`, and what the operation raises.
        """
        return await run_in_threadpool(self._checked, lambda: operation(*args, **kwargs))

    async def once(
        self, key: str, operation: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs
    ) -> Answer:
        """What an operation of the visitor returns, which changes something: with the same key it is done once.

        The key is made by `new_key` when what the operation is about is shown. Raises as `ask` does, and
        `acts.KeyReusedError` where the key was used for something else.
        """
        kind = TypeAdapter[Answer](get_type_hints(operation)["return"])
        route = f"console {operation.__module__}.{operation.__qualname__}"
        given = repr((args[1:], sorted(kwargs.items()))).encode()

        async def act() -> runs.StoredAnswer:
            answer = await self.ask(operation, *args, **kwargs)
            return runs.StoredAnswer(_DONE, kind.dump_json(answer).decode())

        asked = runs.KeyedRequest(self.actor, key, route, given)
        answer = await once(self.runtime, asked, act)
        assert answer is not None  # noqa: S101 - every act of the console is kept
        return kind.validate_json(answer.content)

    def act(self, needed: Role, handler: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
        """The handler of an event that checks session and role before it acts, and tells why something cannot be."""

        under_way = False

        async def guarded(*args: Any) -> None:
            nonlocal under_way
            if under_way:  # The second press of a double click.
                return
            under_way = True
            try:
                with self.showing_errors():
                    await self.ask(self._require, needed)
                    answer = handler(*args)
                    if iscoroutine(answer):
                        await answer
            finally:
                under_way = False

        return guarded

    @contextmanager
    def showing_errors(self) -> Iterator[None]:
        """Show the errors that are meant for people as notices, and leave when the session is over."""
        try:
            yield
        except SessionOverError:
            self.leave()
        except EXPECTED as error:
            self.warn(self.words.said(error))

    def live(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Call this whenever something changed."""
        self.refreshers.append(refresh)

    def notify(self, text: str) -> None:
        """A notice that something was done."""
        ui.notify(text, type="positive", position="bottom", multi_line=True, timeout=6000)

    def warn(self, text: str) -> None:
        """A notice that something was not done, and why; it stays until it is dismissed."""
        dismiss = {"label": self.words("close"), "color": "white", "noCaps": True}
        ui.notify(text, type="negative", position="bottom", multi_line=True, timeout=0, actions=[dismiss])

    def fail(self, error: Exception) -> None:
        """Show that something failed unexpectedly; the log has the rest. Nothing is shown where the page was closed."""
        if isinstance(error, TimeoutError) and not self.client.has_socket_connection:
            _log.info("A page of the console was closed before it answered.")
            return
        _log.error("An action in the console failed unexpectedly:", exc_info=error)
        self.warn(self.words("error.defect"))

    def leave(self) -> None:
        """Say that the session is over and go to the sign-in, from which the way leads back here."""
        self.warn(self.words("session.over"))
        ui.run_javascript("zkConsole.signIn()")

    def _checked(self, operation: Callable[[], Answer]) -> Answer:
        self.actor = self.visitor.session.actor()
        return operation()

    def _require(self, needed: Role) -> None:
        if not self.may(needed):
            raise NotAllowedError(
                self.words(
                    "error.role", needed=self.words(f"role.{needed}"), role=self.words(f"role.{self.actor.role}")
                )
            )
