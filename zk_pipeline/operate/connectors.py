"""Connectors: addresses and tokens of both systems, tests of connection and permissions, outdated versions."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from zk_pipeline.connectors.checks import Validation
from zk_pipeline.connectors.contract import Endpoint, SourceConnector, TargetConnector
from zk_pipeline.connectors.plugins import broken_plugins, source_kinds, target_kinds
from zk_pipeline.connectors.ssrf_guard import REMEDY, checked_base_url, checked_token, leads_to_forbidden
from zk_pipeline.domain.source_ids import source_id_order
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.identity.actors import Actor, OperationError, StaleError, UnknownError
from zk_pipeline.runtime.runtime import ROLES, Role, Runtime, SetupError
from zk_pipeline.store import audit, connectors, request_log
from zk_pipeline.store.connectors import ConnectorRecord, SecondSourceError, StoredConnector
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError

# A token is never shown again. It is sent only to the address that it was given for: a new address needs it again.

LONGEST_NAME, LONGEST_ADDRESS, LONGEST_TOKEN = 40, 500, 1000
"""In characters."""

_NAME = re.compile(rf"[a-z][a-z0-9-]{{0,{LONGEST_NAME - 1}}}")


@dataclass(frozen=True, slots=True)
class ConnectorActivity:
    """An activity of the target, or an activity type of the source. `project_id`: its only project, if there is one."""

    id: int | str
    name: str
    active: bool
    project_id: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """A connector, and when its system was last read successfully; `None` if never, or if unused."""

    connector: ConnectorRecord
    read_at: datetime | None


def kinds() -> dict[str, Role]:
    """The installed kinds of connectors and their roles."""
    sources: dict[str, Role] = dict.fromkeys(source_kinds(), "source")
    targets: dict[str, Role] = dict.fromkeys(target_kinds(), "target")
    return targets | sources


def list_connectors(runtime: Runtime) -> list[ConnectorRecord]:
    """All connectors, including unused ones."""
    with runtime.database.transaction() as connection:
        return connectors.every(connection)


def list_states(runtime: Runtime) -> list[ConnectorState]:
    """All connectors with their states."""
    with runtime.database.transaction() as connection:
        reads = {row.name: row.read_at for row in request_log.systems(connection)}
        rows = connectors.every(connection)
    return [ConnectorState(row, reads.get(row.name)) for row in rows]


def one(runtime: Runtime, connector_id: int) -> ConnectorRecord:
    """One connector. Raises `UnknownError`."""
    with runtime.database.transaction() as connection:
        return _found(connection, connector_id)


def create(runtime: Runtime, actor: Actor, *, name: str, kind: str, base_url: str, token: str) -> ConnectorRecord:
    """Store a connector, and use it if no other of its role is in use and there are no bookings of another source.

    `name` is written into the markers of time sheets and never changes. Raises `OperationError` for an invalid value,
    `StaleError` if the name is taken.
    """
    wanted = _checked(name, kind, base_url, token)
    with runtime.database.transaction() as connection:
        return _insert(connection, runtime, actor, wanted)


def change(
    runtime: Runtime,
    actor: Actor,
    connector_id: int,
    *,
    base_url: str | None = None,
    token: str | None = None,
    active: bool | None = None,
) -> ConnectorRecord:
    """Change address, token or use of a connector: everything, or nothing if anything is refused.

    A new address needs the token again; kind and role are fixed. Raises `UnknownError`, `OperationError` for an invalid
    value, `SetupError` if the new address of a target does not have what was written to it, and `StaleError` as
    `activate` does.
    """
    # DNS may be slow; the row is not locked meanwhile.
    known = one(runtime, connector_id)
    address = None if base_url is None else _checked_address(known.name, base_url)
    if address is not None and token is not None and known.role == "target":
        secret = _checked_token(known.name, token)
        runtime.require_same_target(StoredConnector(known.name, known.role, known.kind, address, secret))
    with runtime.database.transaction() as connection:
        current = _found(connection, connector_id, lock=True)
        changed = _change(connection, runtime, actor, current, address, token)
        return changed if active is None else _switch(connection, actor, changed, active=active)


def put(
    runtime: Runtime, actor: Actor, *, kind: str, base_url: str, token: str, name: str | None = None
) -> ConnectorRecord:
    """Create or change the connector of this name, by default that of its kind, and use it: all of it or nothing.

    Raises as `create` and `change` do.
    """
    wanted = _checked(kind if name is None else name, kind, base_url, token)
    with runtime.database.transaction() as connection:
        current = connectors.by_name(connection, wanted.name)
        if current is None:
            created = _insert(connection, runtime, actor, wanted)
            return _switch(connection, actor, created, active=True)
    if current.kind != kind:
        raise OperationError(
            f"kind: the connector {wanted.name!r} is of kind {current.kind!r}, which never changes. Choose another "
            f"name for one of kind {kind!r}.",
            "kind",
        )
    return change(runtime, actor, current.id, base_url=wanted.base_url, token=token, active=True)


def activate(runtime: Runtime, actor: Actor, connector_id: int) -> ConnectorRecord:
    """Use this connector and no other of its role.

    Raises `UnknownError`, and `StaleError` for a source if there are bookings of another one.
    """
    return change(runtime, actor, connector_id, active=True)


def deactivate(runtime: Runtime, actor: Actor, connector_id: int) -> ConnectorRecord:
    """Stop using this connector; its data stays. Raises `UnknownError`."""
    return change(runtime, actor, connector_id, active=False)


def delete(runtime: Runtime, actor: Actor, connector_id: int) -> None:
    """Delete a connector. Raises `UnknownError`, and `StaleError` if anything depends on it."""
    with runtime.database.transaction() as connection:
        current = _found(connection, connector_id, lock=True)
        dependents = list(connectors.dependents(connection, current))
        if dependents:
            raise StaleError(
                f"Deactivate the connector {current.name!r} instead of deleting it: {_joined(dependents)} depend on it."
            )
        connectors.remove(connection, connector_id)
        _record(connection, actor, "connector.deleted", current, _about(current))


def test(runtime: Runtime, connector_id: int) -> Validation:
    """Test connection, version and permissions, without writing; problems are findings.

    Raises `UnknownError`, and `SetupError` if its kind is not installed or its address or token cannot be used.
    """
    with _opened(runtime, connector_id) as connector:
        return connector.validate()


def validate_stored(runtime: Runtime, stored: StoredConnector) -> Validation:
    """Test a connector that may not be stored yet. Raises `SetupError` as `test` does."""
    with runtime.opened(stored) as connector:
        return connector.validate()


def activities(runtime: Runtime, connector_id: int) -> list[ConnectorActivity]:
    """The activities of a target or the activity types of a source, read now, by name.

    Raises as `test` does, and the connector's errors.
    """
    with _opened(runtime, connector_id) as connector:
        if isinstance(connector, SourceConnector):
            found = [ConnectorActivity(row.id, row.name, row.active) for row in connector.fetch_types().activity_types]
        else:
            activities = connector.fetch_directory().activities
            found = [ConnectorActivity(row.id, row.name, row.visible, row.project_id) for row in activities]
    return sorted(found, key=lambda row: (row.name.casefold(), source_id_order(str(row.id))))


@contextmanager
def _opened(runtime: Runtime, connector_id: int) -> Iterator[SourceConnector | TargetConnector]:
    with runtime.database.transaction() as connection:
        stored = connectors.with_token(connection, connector_id, runtime.cipher)
    if stored is None:
        raise _unknown(connector_id)
    with runtime.opened(stored) as connector:
        yield connector


def _insert(connection: Connection, runtime: Runtime, actor: Actor, wanted: StoredConnector) -> ConnectorRecord:
    connector_id = connectors.insert_new(connection, wanted, runtime.cipher)
    if connector_id is None:
        raise StaleError(
            f"name: the connector {wanted.name!r} already exists. Change it, or choose another name.", "name"
        )
    is_needed = not any(row.active and row.role == wanted.role for row in connectors.every(connection))
    if is_needed and not connectors.has_bookings_of_another(connection, wanted):
        connectors.set_active(connection, connector_id, active=True)
    stored = _found(connection, connector_id)
    _record(connection, actor, "connector.created", stored, _about(stored))
    return stored


def _switch(connection: Connection, actor: Actor, current: ConnectorRecord, *, active: bool) -> ConnectorRecord:
    if current.active == active:
        return current
    if active:
        _require_only_source(connection, current)
    connectors.set_active(connection, current.id, active=active)
    event = "connector.activated" if active else "connector.deactivated"
    _record(connection, actor, event, current, _about(current))
    return _found(connection, current.id)


def _require_only_source(connection: Connection, connector: ConnectorRecord) -> None:
    try:
        connectors.require_only_source(connection, connector)
    except SecondSourceError as error:
        raise StaleError(str(error)) from error


def _change(
    connection: Connection,
    runtime: Runtime,
    actor: Actor,
    current: ConnectorRecord,
    wanted: str | None,
    token: str | None,
) -> ConnectorRecord:
    address = current.base_url if wanted is None else wanted
    if address != current.base_url and token is None:
        raise OperationError(
            "token: give the token again, since the address changes and a token is only sent to the address that it "
            "was given for.",
            "token",
        )
    secret = None if token is None else _checked_token(current.name, token)
    fields = [name for name, differs in (("base_url", address != current.base_url), ("token", secret)) if differs]
    if not fields:
        return current
    connectors.change(connection, current.id, runtime.cipher, base_url=address, token=secret)
    after = _found(connection, current.id)
    _record(connection, actor, "connector.changed", after, {"fields": fields, "base_url": address})
    return after


def _checked(name: str, kind: str, base_url: str, token: str) -> StoredConnector:
    installed = kinds()
    if kind not in installed:
        for broken in broken_plugins():
            if broken.kind == kind:
                raise OperationError(f"kind: {broken}", "kind")
        known = ", ".join(sorted(installed))
        raise OperationError(f"kind: {kind!r} is not installed. Choose one of {known}.", "kind")
    if not _NAME.fullmatch(name):
        raise OperationError(
            f"name: {name[:80]!r} cannot be used in a marker. Use up to 40 lowercase letters, digits and hyphens, "
            "starting with a letter.",
            "name",
        )
    return StoredConnector(name, installed[kind], kind, _checked_address(name, base_url), _checked_token(name, token))


def _checked_address(name: str, base_url: str) -> str:
    if len(base_url) > LONGEST_ADDRESS:
        raise OperationError(
            f"base_url: the address of {name} has {len(base_url)} characters. Give one of at most {LONGEST_ADDRESS}.",
            "base_url",
        )
    try:
        address = checked_base_url(Endpoint(name, base_url, ""))
    except ValueError as error:
        raise OperationError(str(error), "base_url") from error
    host = urlsplit(address).hostname or ""
    if leads_to_forbidden(host):
        raise OperationError(
            f"The address of {name} is forbidden: {host} resolves to a forbidden address. {REMEDY}", "base_url"
        )
    return address


def _checked_token(name: str, token: str) -> str:
    if len(token) > LONGEST_TOKEN:
        raise OperationError(
            f"token: that of {name} has {len(token)} characters. Give one of at most {LONGEST_TOKEN}.", "token"
        )
    try:
        return checked_token(Endpoint(name, "", token))
    except ValueError as error:
        raise OperationError(str(error), "token") from error


def _found(connection: Connection, connector_id: int, *, lock: bool = False) -> ConnectorRecord:
    found = connectors.by_id(connection, connector_id, lock=lock)
    if found is None:
        raise _unknown(connector_id)
    return found


def _unknown(connector_id: int) -> UnknownError:
    return UnknownError(f"Connector {connector_id} does not exist. See the list of connectors.")


def _record(
    connection: Connection, actor: Actor, event: str, connector: ConnectorRecord, detail: dict[str, Any]
) -> None:
    audit.append(connection, [actor.audit_event(event, f"connector:{connector.name}", detail)])


def _about(connector: ConnectorRecord) -> dict[str, Any]:
    """What goes into the audit trail: all but the token."""
    return {"kind": connector.kind, "role": connector.role, "base_url": connector.base_url}


def _joined(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


# Outdated versions of Zammad and Kimai: checked at start, without waiting for the answer.

SECONDS_TO_ANSWER = 5.0


def report_in_background(runtime: Runtime, notify: Callable[[str], None]) -> threading.Thread:
    """Report each system that is too old, from a daemon thread."""
    thread = threading.Thread(target=_report, args=(runtime, notify), name="versions", daemon=True)
    thread.start()
    return thread


def outdated_versions(runtime: Runtime) -> Iterator[str]:
    """A sentence with its remedy for each system whose version is not supported any more.

    Systems that do not answer, have no connector or do not show their version are left to `zk doctor`. Raises
    `DatabaseUnavailableError`.
    """
    limits = {"http_timeout": SECONDS_TO_ANSWER, "http_attempts": 1}
    brief = replace(runtime, settings=runtime.settings.model_copy(update=limits))
    for role in ROLES:
        try:
            with brief.source() if role == "source" else brief.target() as connector:
                findings = connector.version_findings()
        except (SetupError, EncryptionError):
            continue
        for finding in findings:
            if finding.level is Level.FAIL:
                yield f"{finding.text} {finding.remedy}"


def _report(runtime: Runtime, notify: Callable[[str], None]) -> None:
    try:
        for sentence in outdated_versions(runtime):
            notify(sentence)
    except DatabaseUnavailableError as error:
        notify(f"The versions of Zammad and Kimai are unknown. {error}")
