"""What every process uses: settings, database, encryption, and the stored connectors."""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar, overload
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.connectors.contract import Connector, Endpoint, SourceConnector, TargetConnector
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.connectors.mirror import MirroredSource
from zk_pipeline.connectors.plugins import broken_plugins, source_kinds, target_kinds
from zk_pipeline.connectors.ssrf_guard import checked_base_url
from zk_pipeline.domain.attributes import OF_EVERY_SOURCE, parse_rules
from zk_pipeline.domain.markers import marker
from zk_pipeline.domain.policy import Policy
from zk_pipeline.runtime import tracing
from zk_pipeline.runtime.settings import DECIDED_BEFORE, Settings, load_settings
from zk_pipeline.store import connectors, ledger, request_log, stored_settings
from zk_pipeline.store.connectors import ConnectorRecord, SecondSourceError, StoredConnector
from zk_pipeline.store.database import Database, DatabaseUnavailableError
from zk_pipeline.store.encryption import TokenCipher
from zk_pipeline.store.mirror import StoredMirror

Role = Literal["source", "target"]
ConnectorT = TypeVar("ConnectorT", SourceConnector, TargetConnector)
ROLES: tuple[Role, ...] = ("source", "target")

ZONE_OF_EXAMPLES = "Europe/Berlin"

_log = logging.getLogger(__name__)

AUDIT_KEY_PURPOSE = "audit trail"
"""The purpose from which the audit trail's keys are derived."""

_TIMESHEETS_PROBED = 5
"""Time sheets looked up at a target's new address: several, as people may have deleted or rewritten one."""


class SetupError(Exception):
    """Something a process needs is not set up; the message says what to do."""


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that stored facts depend on and that has changed since; both values as text."""

    name: str
    before: str
    after: str

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"ZK_{self.name.upper()}"


def changed_settings(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[SettingChange]:
    """The changes of the settings that facts depend on; a setting in one mapping only depends on another setting."""
    return [
        SettingChange(name, before, now[name])
        for name, before in {**DECIDED_BEFORE, **recorded}.items()
        if name in now and before != now[name]
    ]


def _no_zone(proposal: str) -> SetupError:
    return SetupError(
        f"ZK_TIMEZONE is not set, and it decides on which day each booking counts. Set ZK_TIMEZONE={proposal} (or the "
        "zone whose midnight ends your working day; UTC if that is meant) in the environment or in .env."
    )


def machine_zone() -> str:
    """The IANA name of this machine's time zone; empty if unknown."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        link = os.path.realpath("/etc/localtime")
        name = link.partition("zoneinfo/")[2]
    try:
        return ZoneInfo(name).key if name else ""
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Settings, database and cipher of a process. `clock` dates the answers and failures of systems.

    Connectors in `tried` are used instead of the stored ones.
    """

    settings: Settings
    database: Database
    cipher: TokenCipher
    clock: Callable[[], datetime] = utc_now
    tried: tuple[StoredConnector, ...] = ()

    def as_given(self) -> "Runtime":
        """The same with the environment's connectors, which the next start will store, to try them out.

        Raises `SetupError` if URL or token is missing.
        """
        return replace(self, tried=tuple(given_connectors(self.settings)))

    @contextmanager
    def source(self) -> Iterator[SourceConnector]:
        """The source connector. Raises `SetupError` if none is stored, or its URL or token is unusable."""
        stored = self.stored("source")
        plugin = _plugin(source_kinds(), stored)
        _require_attributes(self.settings, plugin)
        with _connected(plugin, self._endpoint(stored)) as connector, self._noted(connector):
            self._mirrored(connector)
            yield connector

    @contextmanager
    def target(self) -> Iterator[TargetConnector]:
        """The target connector. Raises `SetupError` if none is stored, or its URL or token is unusable."""
        stored = self.stored("target")
        with _connected(_plugin(target_kinds(), stored), self._endpoint(stored)) as connector, self._noted(connector):
            yield connector

    @contextmanager
    def opened(self, stored: StoredConnector) -> Iterator[SourceConnector | TargetConnector]:
        """Any stored connector, active or not. Raises `SetupError` if its kind, URL or token is unusable."""
        if stored.role == "source":
            opened = _connected(_plugin(source_kinds(), stored), self._endpoint(stored))
        else:
            opened = _connected(_plugin(target_kinds(), stored), self._endpoint(stored))
        with opened as connector, self._noted(connector):
            self._mirrored(connector)
            yield connector

    def stored(self, role: Role) -> StoredConnector:
        """The active connector of a role; if none was ever stored, the environment's, which a start stores.

        Raises `SetupError` if there is neither, or if all are switched off.
        """
        for tried in self.tried:
            if tried.role == role:
                return tried
        with self.database.transaction() as connection:
            stored = connectors.active(connection, role, self.cipher)
            is_known = any(row.role == role for row in connectors.every(connection)) if stored is None else True
        if stored is not None:
            return stored
        for given in given_connectors(self.settings):
            if given.role == role and not is_known:
                return given
        variables = "ZK_ZAMMAD_URL and ZK_ZAMMAD_TOKEN" if role == "source" else "ZK_KIMAI_URL and ZK_KIMAI_TOKEN"
        problem, remedy = f"There is no {role} connector yet.", f"Set {variables}, in the environment or in .env."
        raise SetupError(f"{problem} {remedy}")

    def require_same_target(self, wanted: StoredConnector) -> None:
        """Raise `SetupError` if a target's new address does not hold the time sheets in the ledger.

        The ledger knows them by id only, and in another Kimai these ids belong to others. The target is
        not asked if the address stays or nothing was written yet, nor within a transaction.
        """
        with self.database.transaction() as connection:
            current = connectors.by_name(connection, wanted.name)
            written = ledger.newest_confirmed(connection, wanted.name, _TIMESHEETS_PROBED)
            sources = [row.name for row in connectors.every(connection) if row.role == "source"]
        if current is None or not written or _address(wanted) == _address(current):
            return
        remedy = (
            f"Set the address back to {current.base_url}, or give this Kimai a separate database (ZK_DATABASE_URL)."
        )
        try:
            with _connected(_plugin(target_kinds(), wanted), self._endpoint(wanted)) as target:
                if _holds_any(target, written, sources):
                    return
        except ConnectorError as error:
            raise SetupError(
                f"{wanted.base_url} cannot be asked for the time sheets written to {wanted.name!r}: {error} Try again "
                f"once it answers. {remedy}"
            ) from error
        raise SetupError(
            f"{wanted.base_url} is another system than {current.base_url}: it has none of the newest time sheets "
            f"written to {wanted.name!r}. The ids in the ledger would belong to others. {remedy}"
        )

    def decided(self, connection: Connection) -> int:
        """The number of the recorded settings that facts depend on, locked for this transaction.

        Records them if no stored fact depends on others. Raises `SetupError` if they have changed, or if the time zone
        was never chosen.
        """
        stored_settings.hold(connection)
        if not self._zone_is_chosen(connection):
            raise _no_zone(machine_zone() or ZONE_OF_EXAMPLES)
        recorded, now = stored_settings.latest(connection), self.settings.decided
        if recorded is None or (recorded.value != now and not stored_settings.decided_facts(connection)):
            return stored_settings.record(connection, now, "start")
        changes = changed_settings(recorded.value, now)
        if changes:
            named = ", ".join(f"{change.variable} was {change.before!r} and is {change.after!r}" for change in changes)
            raise SetupError(
                f"{named}: the stored data was derived with the former value. Set it back; or see what would change "
                "with zk rederive --plan, and derive it again with zk rederive."
            )
        return recorded.id

    def former_policies(self, connection: Connection) -> dict[int, Policy]:
        """The policies of all recorded settings by number: what was billed before a change keeps its own."""
        recorded = stored_settings.every(connection)
        return {number: self.settings.policy_under(value) for number, value in recorded.items()}

    def require_decided(self) -> None:
        """Raise `SetupError` if a setting that stored facts depend on has changed.

        Nothing is recorded while the time zone is not chosen and no stored fact depends on it.
        """
        with self.database.transaction() as connection:
            if self._zone_is_chosen(connection):
                self.decided(connection)

    def require_zone(self) -> None:
        """Raise `SetupError` with a proposal if the time zone is not chosen before the first start."""
        with self.database.transaction() as connection:
            if self._zone_is_chosen(connection):
                return
        raise _no_zone(self.proposed_zone())

    def proposed_zone(self) -> str:
        """The likely zone: this machine's or, if that is UTC, that of the account in Kimai."""
        machine = machine_zone()
        if machine not in {"", "UTC", "Etc/UTC"}:  # Most servers use it, but few people who book.
            return machine
        try:
            with self.target() as target:
                return target.fetch_directory().server.caller_timezone
        except (SetupError, ConnectorError):
            return ZONE_OF_EXAMPLES

    def _zone_is_chosen(self, connection: Connection) -> bool:
        return "timezone" in self.settings.model_fields_set or stored_settings.decided_facts(connection)

    def _mirrored(self, connector: Connector) -> None:
        if isinstance(connector, MirroredSource):
            connector.keep_in(StoredMirror(self.database, connector.endpoint.name))

    @contextmanager
    def _noted(self, connector: Connector) -> Iterator[None]:
        """Record after the block how the system answered, for later requests and the vital signs."""
        try:
            yield
        finally:
            self._note(connector)

    def _note(self, connector: Connector) -> None:
        name, state = connector.endpoint.name, connector.system_state
        if state is None:
            return
        wait = timedelta(seconds=state.wait) if state.wait is not None else None
        try:
            with self.database.transaction() as connection:
                if not state.problem:
                    request_log.note_success(connection, name, self.clock())
                else:
                    at, problem, refused = self.clock(), state.problem, state.refused
                    request_log.note_failure(connection, name, at, problem, wait, refused=refused)
        except (DatabaseUnavailableError, SQLAlchemyError) as error:  # The latter may quote an SQL statement.
            _log.warning("How %s answers is not noted. %s", name, type(error).__name__)

    def _endpoint(self, stored: StoredConnector) -> Endpoint:
        settings = self.settings
        return Endpoint(
            stored.name,
            stored.base_url,
            stored.token,
            settings.http_timeout,
            settings.http_attempts,
            str(settings.ca_bundle or ""),
            settings.policy.attributes if stored.role == "source" else frozenset(),
        )


def _require_attributes(settings: Settings, plugin: type[SourceConnector]) -> None:
    """Raise `SetupError` if rules read an attribute that tickets of this kind of source do not have."""
    known = OF_EVERY_SOURCE | plugin.attributes
    for name in ("activity_rules", "customer_rules"):
        for rule in parse_rules(getattr(settings, name)):
            if rule.attribute not in known:
                raise SetupError(
                    f"ZK_{name.upper()} names {rule}, which tickets of {plugin.kind} do not have. They have "
                    f"{', '.join(sorted(known))}."
                )


@contextmanager
def open_runtime(settings: Settings | None = None) -> Iterator[Runtime]:
    """The runtime of a process whose environment names database and key.

    Raises `SetupError` if they are missing, and the typed errors of settings, database and encryption.
    """
    settings = settings or load_settings()
    tracing.set_up(settings)
    if settings.database_url is None:
        raise SetupError("There is no database. Start everything with `zk up`, or set ZK_DATABASE_URL.")
    if settings.encryption_key is None:
        raise SetupError("ZK_ENCRYPTION_KEY is missing. Set the key that the connectors' tokens were stored with.")
    cipher = TokenCipher(settings.encryption_key.get_secret_value())
    database = Database(settings.database_url.get_secret_value(), cipher.derived(AUDIT_KEY_PURPOSE))
    try:
        yield Runtime(settings, database, cipher)
    finally:
        database.close()


def given_connectors(settings: Settings) -> list[StoredConnector]:
    """The connectors configured in the environment. Raises `SetupError` if a URL or token is missing."""
    given = (
        ("zammad", "source", settings.zammad_url, settings.zammad_token.get_secret_value(), "ZK_ZAMMAD"),
        ("kimai", "target", settings.kimai_url, settings.kimai_token.get_secret_value(), "ZK_KIMAI"),
    )
    wanted: list[StoredConnector] = []
    for kind, role, url, token, prefix in given:
        if not url and not token:
            continue
        if not url or not token:
            missing = f"{prefix}_TOKEN" if url else f"{prefix}_URL"
            raise SetupError(f"{missing} is missing: {prefix}_URL and {prefix}_TOKEN belong together.")
        given_as = StoredConnector(kind, role, kind, url, token)
        wanted.append(replace(given_as, base_url=_address(given_as)))
    return wanted


def store_connectors(runtime: Runtime) -> None:
    """Create or update the connectors configured by URL and token in the environment.

    Raises `SetupError` if URL or token is missing, for a second source if there are bookings of another, and for a
    target other than the one written to.
    """
    wanted = given_connectors(runtime.settings)
    for connector in wanted:
        if connector.role == "target":
            runtime.require_same_target(connector)
    with runtime.database.transaction() as connection:
        for connector in wanted:
            try:
                connectors.save(connection, connector, runtime.cipher)
            except SecondSourceError as error:
                raise SetupError(str(error)) from error


def _holds_any(target: TargetConnector, written: Mapping[int, str], sources: Collection[str]) -> bool:
    """Whether one of these time sheets (id to source id) exists with the marker of one of our sources."""
    for timesheet_id, source_id in written.items():
        found = target.get(timesheet_id)
        if found is not None and any(marker(source, source_id) in found.description for source in sources):
            return True
    return False


def _address(connector: StoredConnector | ConnectorRecord) -> str:
    """The normalized address; an invalid one is returned as it is, and refused when it is opened."""
    try:
        return checked_base_url(Endpoint(connector.name, connector.base_url, ""))
    except ValueError:
        return connector.base_url


def _connected(kind: type[ConnectorT], endpoint: Endpoint) -> ConnectorT:
    try:
        return kind(endpoint)
    except ValueError as error:  # An invalid URL or token.
        raise SetupError(str(error)) from error


@overload
def _plugin(kinds: Mapping[str, type[SourceConnector]], stored: StoredConnector) -> type[SourceConnector]: ...
@overload
def _plugin(kinds: Mapping[str, type[TargetConnector]], stored: StoredConnector) -> type[TargetConnector]: ...
def _plugin(kinds: Mapping[str, type], stored: StoredConnector) -> type:
    if stored.kind in kinds:
        return kinds[stored.kind]
    for broken in broken_plugins():
        if broken.kind == stored.kind:
            raise SetupError(str(broken))
    known = ", ".join(sorted(kinds))
    raise SetupError(f"Connector {stored.name} is of kind {stored.kind!r}, which is not installed; known: {known}.")
