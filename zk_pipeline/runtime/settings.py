"""Typed settings from the environment and `.env` (prefix `ZK_`); `.env.example` explains each one."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from zk_pipeline.domain.attributes import parse_rules, written
from zk_pipeline.domain.periods import parse_month
from zk_pipeline.domain.policy import DEFAULT_DESCRIPTION, DESCRIPTION_FIELDS, Placement, Policy, ProjectStrategy
from zk_pipeline.domain.write_back import DEFAULT_TAG, WriteBackMode, WriteKind, checked_template, write_back_modes
from zk_pipeline.domain.write_protection import first_open_day
from zk_pipeline.languages import Language
from zk_pipeline.runtime.logs import LogFormat

ENV_FILE = "ZK_ENV_FILE"
"""Names another file than `.env`; the demo names none."""

OTHER_VARIABLES = (ENV_FILE, "ZK_CODE_SOCKET", "ZK_CONNECTOR_TOKEN")
"""Variables with the prefix ZK_ that are no settings, read from the environment only by workspace.yaml and commands."""

_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it, its value and what to do."""


class WhenBusy(StrEnum):
    """What a schedule does while its job is still running."""

    SKIP = "skip"
    QUEUE = "queue"


class PushMode(StrEnum):
    """Whether a plan is carried out at once, after approval, or never."""

    AUTO = "auto"
    REVIEW = "review"
    OFF = "off"


class SecondFactor(StrEnum):
    """Who needs a code from an app besides the password: nobody, those who choose to, admins, or everybody."""

    OFF = "off"
    OPTIONAL = "optional"
    ADMINS = "admins"
    ALL = "all"


class OnSourceDelete(StrEnum):
    """What happens to a time sheet whose booking was deleted in the source."""

    REVIEW = "review"
    DELETE = "delete"


_HOST = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.IGNORECASE)


def _network_or_host(text: str) -> IPv4Network | IPv6Network | str:
    """Parse a proxy's address, network or host name. Raises `ValueError`."""
    try:
        return ip_network(text)
    except ValueError:
        if _HOST.fullmatch(text):
            return text
        raise ValueError(
            f"has the proxy {text!r}; name an address, a network such as 172.30.5.0/24, or the name of a host"
        ) from None


DECIDED_BEFORE = {"activity_rules": "type", "customer_rules": "organization"}
"""What held for facts that were recorded before these settings existed."""


class Settings(BaseSettings):
    """Every setting of the product. Secrets never show in a repr or a log."""

    model_config = SettingsConfigDict(env_prefix="ZK_", env_ignore_empty=True, extra="ignore")

    home: Path = Path(".zk")
    database_url: SecretStr | None = None
    database_owner_url: SecretStr | None = None
    dagster_url: SecretStr | None = None
    encryption_key: SecretStr | None = None
    installation: str = Field(default="", max_length=63)
    log_format: LogFormat = LogFormat.TEXT
    otlp_endpoint: str = Field(default_factory=lambda: os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))

    zammad_url: str = ""
    zammad_token: SecretStr = SecretStr("")
    kimai_url: str = ""
    kimai_token: SecretStr = SecretStr("")

    timezone: str = "UTC"
    start_date: date = date(2020, 1, 1)
    minutes_per_unit: Decimal = Field(default=Decimal(1), gt=0)
    placement: Placement = Placement.START
    grid_minutes: int = Field(default=15, ge=1, le=720)
    day_start: time = time(8, 0)
    description: str = DEFAULT_DESCRIPTION
    tags: Annotated[tuple[str, ...], NoDecode] = ("zammad", "synced")
    project_strategy: ProjectStrategy = ProjectStrategy.PER_CUSTOMER
    fixed_project: str = ""
    fallback_customer: str = Field(default="Without organization", min_length=2, max_length=150)
    adopt_by_name: bool = False
    activity_rules: str = "type"
    customer_rules: str = "organization"
    locked_before: str = ""

    push_mode: PushMode = PushMode.AUTO
    dev_push: bool = False
    on_source_delete: OnSourceDelete = OnSourceDelete.REVIEW
    max_changes: int | None = Field(default=None, ge=0)
    max_deletes: int = Field(default=20, ge=0)

    write_back: str = "off"
    write_back_tag: str = DEFAULT_TAG
    write_back_since: str = ""
    write_back_limit: int = Field(default=500, ge=0)

    kimai_time_limit: float = Field(default=60.0, ge=0, le=3600)
    kimai_concurrency: int = Field(default=4, ge=1, le=32)
    http_timeout: float = Field(default=30.0, gt=0, le=600)
    http_attempts: int = Field(default=3, ge=1, le=10)
    ca_bundle: Path | None = None

    port: int = Field(default=3000, ge=1, le=65535)
    web_port: int = Field(default=8000, ge=1, le=65535)
    web_host: str = "127.0.0.1"
    public_url: str = ""
    dagster_address: str = ""
    dagster_ui: str = ""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network | str, ...], NoDecode] = ()

    admin_email: str = ""
    admin_password: SecretStr = SecretStr("")
    access_minutes: int = Field(default=10, ge=1, le=60)
    idle_minutes: int = Field(default=120, ge=60, le=43_200)
    session_hours: int = Field(default=12, ge=1, le=720)
    second_factor: SecondFactor = SecondFactor.OPTIONAL
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_role_claim: str = "zk_role"

    webhook_secret: SecretStr | None = None
    webhook_rate: int = Field(default=1000, ge=1, le=1_000_000)
    sensor_seconds: int = Field(default=3, ge=1, le=3600)
    poll_seconds: int = Field(default=30, ge=5, le=86_400)
    kimai_poll_seconds: int = Field(default=60, ge=5, le=86_400)
    retry_seconds: int = Field(default=30, ge=1, le=86_400)

    schedules: bool = True
    schedule_when_busy: WhenBusy = WhenBusy.SKIP
    catch_up_cron: str = "0 */6 * * *"
    catch_up_days: int = Field(default=7, ge=1, le=366)
    deep_check_cron: str = "30 3 * * *"
    deep_check_days: int = Field(default=62, ge=1, le=366)

    language: Language = Language.ENGLISH
    statement_letterhead: str = ""
    statement_logo: Path | None = None
    statement_text: str = ""
    statement_footer: str = ""
    statement_font: Path | None = None

    preview_names: bool = True
    keep_requests_days: int = Field(default=90, ge=1, le=3650)
    keep_webhooks_days: int = Field(default=30, ge=1, le=3650)
    keep_logins_days: int = Field(default=90, ge=1, le=3650)
    keep_audit_days: int = Field(default=3650, ge=365, le=36_500)
    keep_dagster_logs_days: int = Field(default=30, ge=1, le=3650)

    backup_dir: str = ""
    backup_cron: str = "15 2 * * *"
    rehearsal_cron: str = "45 4 * * 0"
    keep_backups_days: int = Field(default=30, ge=1, le=3650)

    alert_urls: SecretStr = SecretStr("")
    alert_after: int = Field(default=1, ge=1, le=100)
    alert_quiet_minutes: int = Field(default=60, ge=0, le=10_080)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is not a time zone; use an IANA name such as Europe/Berlin") from error
        return value

    @field_validator("installation")
    @classmethod
    def _printable_name(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()):
            raise ValueError("is not a valid name; use ASCII letters, digits and punctuation")
        return value

    @field_validator("tags", "trusted_proxies", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks_and_hosts(cls, value: tuple[Any, ...]) -> tuple[IPv4Network | IPv6Network | str, ...]:
        return tuple(_network_or_host(each) if isinstance(each, str) else each for each in value)

    @field_validator("tags")
    @classmethod
    def _allowed_tags(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for tag in value:
            if not 2 <= len(tag) <= 100 or set(tag) & set('<>"='):
                raise ValueError(f'has the tag {tag!r}; a tag has 2 to 100 characters and none of < > " =')
        return value

    @field_validator("description")
    @classmethod
    def _known_fields(cls, value: str) -> str:
        try:
            value.format_map(dict.fromkeys(DESCRIPTION_FIELDS, ""))
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            fields = ", ".join(f"{{{name}}}" for name in DESCRIPTION_FIELDS)
            raise ValueError(f"is not a template of the fields {fields}") from error
        return value

    @field_validator("activity_rules", "customer_rules")
    @classmethod
    def _known_rules(cls, value: str) -> str:
        return written(parse_rules(value))

    @field_validator("write_back")
    @classmethod
    def _known_modes(cls, value: str) -> str:
        write_back_modes(value)
        return value

    @field_validator("write_back_tag")
    @classmethod
    def _usable_tag(cls, value: str) -> str:
        return checked_template(value)

    @field_validator("write_back_since")
    @classmethod
    def _known_month(cls, value: str) -> str:
        if value:
            parse_month(value)
        return value

    @field_validator("locked_before")
    @classmethod
    def _known_rule(cls, value: str) -> str:
        first_open_day(value, date(2000, 1, 1))
        return value

    @field_validator(
        "zammad_url", "kimai_url", "public_url", "dagster_address", "dagster_ui", "oidc_issuer", "otlp_endpoint"
    )
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("is not a web address; begin it with https:// (or http://)")
        if "@" in value:
            raise ValueError("contains credentials; remove them, the token is a separate setting")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _has_its_project(self) -> Self:
        if self.project_strategy is ProjectStrategy.FIXED and not self.fixed_project:
            raise ValueError("ZK_PROJECT_STRATEGY=fixed needs ZK_FIXED_PROJECT, the number or id of the project")
        return self

    @property
    def dagster_server(self) -> str:
        """Where our processes reach Dagster's web server."""
        return self.dagster_address or f"http://127.0.0.1:{self.port}"

    @property
    def dagster_link(self) -> str:
        """Where people's browsers reach Dagster's UI."""
        return self.dagster_ui or self.dagster_server

    @property
    def alert_link(self) -> str:
        """Where an alert leads: Dagster's UI or, if only that has an address for people, the console."""
        return self.dagster_ui or self.public_url or self.dagster_server

    @property
    def backups(self) -> Path:
        """Where backups are kept."""
        return Path(self.backup_dir).expanduser() if self.backup_dir else self.home / "backups"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that decides on days."""
        return ZoneInfo(self.timezone)

    @property
    def policy(self) -> Policy:
        """The rules for entries under these settings."""
        return Policy(
            zone=self.zone,
            minutes_per_unit=self.minutes_per_unit,
            placement=self.placement,
            grid_minutes=self.grid_minutes,
            day_start=self.day_start,
            description=self.description,
            tags=self.tags,
            project_strategy=self.project_strategy,
            fixed_project=self.fixed_project,
            fallback_customer=self.fallback_customer,
            adopt_by_name=self.adopt_by_name,
            delete_unwanted=self.on_source_delete is OnSourceDelete.DELETE,
            activity_rules=parse_rules(self.activity_rules),
            customer_rules=parse_rules(self.customer_rules),
        )

    @property
    def write_back_modes(self) -> dict[WriteKind, WriteBackMode]:
        """How each kind is written into tickets."""
        return write_back_modes(self.write_back)

    @property
    def writes_back(self) -> frozenset[WriteKind]:
        """What is written into tickets, at once or after approval."""
        return frozenset(kind for kind, mode in self.write_back_modes.items() if mode is not WriteBackMode.OFF)

    @property
    def write_back_from(self) -> date:
        """The first day whose time is written into tickets."""
        return max(parse_month(self.write_back_since), self.start_date) if self.write_back_since else self.start_date

    @property
    def decided(self) -> dict[str, str]:
        """The settings that stored facts depend on: day, time, minutes and project of bookings.

        Values as text, by field name. Settings without effect (the grid, unless bookings start on it) are left out, as
        are those read anew at each write: texts, tags, locks, limits, and the names under which customers are created
        or found.
        """
        values = {
            "timezone": self.timezone,
            "start_date": self.start_date.isoformat(),
            "minutes_per_unit": f"{self.minutes_per_unit.normalize():f}",
            "placement": str(self.placement),
            "project_strategy": str(self.project_strategy),
            "activity_rules": self.activity_rules,
            "customer_rules": self.customer_rules,
        }
        if self.placement is Placement.START:
            values["grid_minutes"] = str(self.grid_minutes)
        if self.placement is Placement.SEQUENTIAL:
            values["day_start"] = self.day_start.isoformat()
        if self.project_strategy is ProjectStrategy.FIXED:
            values["fixed_project"] = self.fixed_project
        return values

    def policy_under(self, decided: Mapping[str, str]) -> Policy:
        """The rules under earlier recorded settings; what is not recorded is as today."""
        today = self.policy
        return replace(
            today,
            zone=ZoneInfo(decided["timezone"]),
            minutes_per_unit=Decimal(decided["minutes_per_unit"]),
            placement=Placement(decided["placement"]),
            grid_minutes=int(decided.get("grid_minutes", today.grid_minutes)),
            day_start=time.fromisoformat(decided.get("day_start", today.day_start.isoformat())),
            project_strategy=ProjectStrategy(decided["project_strategy"]),
            fixed_project=decided.get("fixed_project", today.fixed_project),
            activity_rules=parse_rules(decided.get("activity_rules", DECIDED_BEFORE["activity_rules"])),
            customer_rules=parse_rules(decided.get("customer_rules", DECIDED_BEFORE["customer_rules"])),
        )


def load_settings(**given: Any) -> Settings:
    """Read the settings; `given` values win over the environment.

    Raises `SettingsError` for the first wrong one, and for an unknown name.
    """
    file = env_file()
    if given:
        return _read(file, given)
    return _kept(file, _version(file), frozenset(os.environ.items())).model_copy()


@lru_cache(maxsize=8)
def _kept(file: Path, version: tuple[int, ...], environment: frozenset[tuple[str, str]]) -> Settings:
    """Cached settings for this version of the file and this environment; a Dagster run asks five times."""
    del version, environment
    return _read(file, {})


def _version(file: Path) -> tuple[int, ...]:
    """A value that changes with the file; empty if there is none."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read(file: Path, given: Mapping[str, Any]) -> Settings:
    _require_known_names(file)
    try:
        return Settings(_env_file=file, **given)  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            problem = first["msg"].removeprefix("Value error, ").rstrip(".")
            raise SettingsError(f"{problem}. Correct it in the environment or in .env.") from None
        name = "ZK_" + str(first["loc"][0]).upper()
        secret = any(
            word in name for word in ("TOKEN", "KEY", "SECRET", "PASSWORD", "DATABASE_URL", "DAGSTER_URL", "OWNER_URL")
        )
        secret = secret or (name.endswith(("_URL", "_ENDPOINT")) and "@" in str(first["input"]))
        value = "" if secret else f"={first['input']!r}"
        problem = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise SettingsError(f"{name}{value}: {problem}. Correct it in the environment or in .env.") from None


def spoken() -> Language:
    """ZK_LANGUAGE alone, for help and for errors of other settings; English where it is missing or wrong."""
    try:
        file = env_file()
        return Language(os.environ.get("ZK_LANGUAGE") or _language_in(file, _version(file)))
    except (OSError, ValueError, SettingsError):
        return Language.ENGLISH


@lru_cache(maxsize=8)
def _language_in(file: Path, version: tuple[int, ...]) -> str:
    del version
    return DotEnvSettingsSource(Settings, env_file=file, env_ignore_empty=True).env_vars.get("zk_language") or ""


def env_file() -> Path:
    """The file of the settings, which may not exist. Raises `SettingsError` if it was named but does not exist."""
    named = os.environ.get(ENV_FILE, "")
    if named and (Path(named).is_dir() or not Path(named).exists()):
        raise SettingsError(f"{ENV_FILE}={named!r} is no file. Correct the name, or unset it to use .env.")
    return Path(named or ".env")


def readable_env_file() -> Path | None:
    """The settings file if every account of this machine can read it, and the tokens and keys in it."""
    file = env_file()
    return file if file.is_file() and file.stat().st_mode & 0o004 else None


def _require_known_names(file: Path) -> None:
    """Raise `SettingsError` for an unknown name: a misspelt limit would protect nothing."""
    settings = [f"ZK_{name.upper()}" for name in Settings.model_fields]
    in_environment = {name.upper() for name in os.environ} - set(_service_links())
    _require_known(in_environment, [*settings, *OTHER_VARIABLES], "the environment")
    in_file = {name.upper() for name in DotEnvSettingsSource(Settings, env_file=file, env_ignore_empty=False).env_vars}
    _require_known(in_file, settings, str(file))


def _require_known(found: Iterable[str], known: list[str], place: str) -> None:
    for name in sorted(name for name in found if name.startswith("ZK_") and name not in known):
        if name in OTHER_VARIABLES:
            raise SettingsError(f"{name} is read from the environment only. Remove it from {place} and set it there.")
        (nearest,) = get_close_matches(name, known, 1, 0)
        raise SettingsError(f"{name} in {place} is not a setting: did you mean {nearest}? Correct or remove it.")


def _service_links() -> list[str]:
    """The variables that Kubernetes sets in every pod for services whose names begin with zk."""
    services = [name.removesuffix("_SERVICE_HOST") for name in os.environ if name.endswith("_SERVICE_HOST")]
    return [
        name
        for name in os.environ
        for service in services
        if name.startswith(service) and _SERVICE_LINK.fullmatch(name.removeprefix(service))
    ]
