"""The rows of a simulated Jira, and their form in a snapshot."""

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

Record = TypeVar("Record")


def stored_instant(moment: datetime) -> datetime:
    """The instant in UTC to the millisecond; ValueError without an offset."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no offset from UTC.")
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def instant_of(text: str) -> datetime:
    """The instant in a text; ValueError without an offset."""
    return stored_instant(datetime.fromisoformat(text))


def milliseconds(moment: datetime) -> int:
    """The instant as the feeds count: milliseconds since 1970."""
    return (moment - EPOCH) // MILLISECOND


@dataclass(slots=True)
class User:
    """A person or an app. `id` is the account id on Cloud and the key on Data Center; `name` is the login there."""

    id: str
    name: str
    display_name: str
    email: str
    account_type: str = "atlassian"
    active: bool = True
    shows_email: bool = True
    zone: str | None = None
    groups: list[str] = field(default_factory=list[str])
    browses_users: bool = True


@dataclass(slots=True)
class Token:
    """An API token. One with scopes is only taken at the gateway; `requests_left` makes it expire during a run."""

    value: str
    user_id: str
    scopes: list[str] | None = None
    expires_at: datetime | None = None
    requests_left: int | None = None


@dataclass(slots=True)
class Project:
    """A project; `browsers` are the accounts that may browse it, None for everybody who is signed in.

    `roles` are the members of its roles. `status` is live, archived or deleted. `closes_after` takes the right to
    browse from everybody once so many requests were answered.
    """

    id: int
    key: str
    name: str
    browsers: list[str] | None = None
    roles: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    status: str = "live"
    public: bool = False
    kind: str = "software"
    logs_work: bool = True
    closes_after: int | None = None


@dataclass(slots=True)
class Issue:
    """An issue; `old_keys` lead to it as well. `readers` are the accounts of its security level, None for all."""

    id: int
    key: str
    project_id: int
    summary: str
    created: datetime
    updated: datetime
    issue_type: str = "Task"
    status: str = "Open"
    components: list[str] = field(default_factory=list[str])
    labels: list[str] = field(default_factory=list[str])
    organizations: list[int] = field(default_factory=list[int])
    parent_id: int | None = None
    old_keys: list[str] = field(default_factory=list[str])
    readers: list[str] | None = None


@dataclass(slots=True)
class Worklog:
    """A worklog; `visibility` is empty, or names a group or a role of the project. `changes` are when it changed."""

    id: int
    issue_id: int
    author_id: str
    started: datetime
    seconds: int
    created: datetime
    updated: datetime
    comment: Any = None
    visibility: dict[str, str] = field(default_factory=dict[str, str])
    editor_id: str = ""
    changes: list[datetime] = field(default_factory=list[datetime])


@dataclass(slots=True)
class Tombstone:
    """A deleted worklog, as the feed of deletions names it."""

    id: int
    at: datetime


@dataclass(slots=True)
class Organization:
    """A customer organization of Jira Service Management."""

    id: int
    name: str


@dataclass(slots=True)
class Webhook:
    """A webhook that an administrator registered."""

    id: int
    url: str
    events: list[str]
    secret: str = ""


def dump(record: Any) -> dict[str, Any]:
    """The record as JSON."""
    return {name: _plain(value) for name, value in asdict(record).items()}


def load(kind: type[Record], data: dict[str, Any]) -> Record:
    """The record that `dump` wrote."""
    types = {each.name: str(each.type) for each in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _loaded(types[name], value) for name, value in data.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _loaded(kind: str, value: Any) -> Any:
    if "datetime" not in kind or value is None:
        return value
    return [instant_of(item) for item in value] if isinstance(value, list) else instant_of(value)
