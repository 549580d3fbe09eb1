"""Who is who: the Kimai side of each agent, type and organization, how that is known, and since when."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from zk_pipeline.decisions import mapping_names, mappings
from zk_pipeline.decisions.mapping_files import Suggestion
from zk_pipeline.decisions.mapping_names import MappingFilter, MappingRow
from zk_pipeline.decisions.mappings import UnmappedItem
from zk_pipeline.domain.mapping import AssignmentProblem, Mappings, Resolver
from zk_pipeline.domain.mapping_lines import NOTHING, Kind
from zk_pipeline.domain.names import fold, fold_text
from zk_pipeline.domain.numbers import customer_number
from zk_pipeline.domain.people import UserMatcher, Way
from zk_pipeline.domain.policy import Policy, ProjectStrategy
from zk_pipeline.domain.records import Agent, SourceDirectory, TargetDirectory, TargetUser
from zk_pipeline.domain.source_ids import NO_ORGANIZATION, NO_TYPE
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import connectors
from zk_pipeline.store import mappings as store
from zk_pipeline.store import source as source_rows
from zk_pipeline.store import target as target_rows


class State(StrEnum):
    """What a person has to do about a partner, in the order of the list."""

    OPEN = "open"
    CHECK = "check"
    AUTOMATIC = "automatic"
    HAND = "hand"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Partner:
    """Something of the source, and its partner in the target.

    `zammad` is its value in an import file; it is empty for a user of the target whom no agent is. A mapping for one
    `organization` alone is a row of its own. `shared_with` are the other agents who are the same user. `since` is the
    day of the mapping, or the first whose time was written without one. `entries` and `minutes` are those that wait.
    `active` and `usable` say whether either side is in use.
    """

    kind: Kind
    zammad: str
    name: str
    note: str
    way: Way
    active: bool = True
    kimai_id: int | None = None
    kimai: str = ""
    kimai_note: str = ""
    usable: bool = True
    organization: str | None = None
    shared_with: tuple[str, ...] = ()
    since: date | None = None
    entries: int = 0
    minutes: Decimal = Decimal(0)
    mapping: MappingRow | None = None
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether it is unmistakable that the two belong together."""
        return self.way.sure and not self.shared_with

    @property
    def state(self) -> State:
        """What has to be done about it."""
        if not self.zammad:
            return State.ALONE
        if not self.way.found:
            return State.OPEN
        if not self.sure or (self.active and not self.usable):
            return State.CHECK
        return State.HAND if self.way is Way.HAND else State.AUTOMATIC


@dataclass(frozen=True, slots=True)
class PartnerFilter:
    """A filter of partners: words of which each is part of a name of either side, and what has to be done."""

    text: str = ""
    state: State | None = None


@dataclass(frozen=True, slots=True)
class PartnerPage:
    """A page of partners; `states` counts what the text alone finds, `open` everything without partner, by kind."""

    rows: tuple[Partner, ...]
    total: int
    states: Mapping[State, int]
    open: Mapping[Kind, int]


def page(runtime: Runtime, kind: Kind, wanted: PartnerFilter, *, limit: int, offset: int) -> PartnerPage:
    """A page of the partners of a kind: what is open first, then by name. Names are as last read.

    Raises `SetupError` before both systems are connected.
    """
    known = _Known.load(runtime)
    rows = {each: sorted(_partners(known, each), key=_order) for each in Kind}
    found = [row for row in rows[kind] if _has(row, wanted.text)]
    chosen = [row for row in found if wanted.state in {row.state, None}]
    shown = _with_days(runtime, known, chosen[offset:][:limit])
    states, open_ = Counter(row.state for row in found), _open(rows)
    return PartnerPage(tuple(shown), len(chosen), {each: states[each] for each in State}, open_)


def _open(rows: Mapping[Kind, Iterable[Partner]]) -> dict[Kind, int]:
    return {kind: sum(row.state is State.OPEN for row in of_kind) for kind, of_kind in rows.items()}


def _order(row: Partner) -> tuple[int, int, str, str]:
    return list(State).index(row.state), -row.entries, fold(row.name or row.kimai), row.organization or ""


def _has(row: Partner, wanted: str) -> bool:
    words = fold_text(wanted).split()
    names = (
        fold_text(" ".join((row.name, row.note, row.organization or "", row.kimai, row.kimai_note))) if words else ""
    )
    return all(word in names for word in words)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is stored of both systems, and what waits."""

    names: tuple[str, str]
    source: SourceDirectory
    target: TargetDirectory | None
    unlisted: Sequence[str]
    stored: Mappings
    rows: Mapping[Kind, Sequence[MappingRow]]
    waiting: Mapping[tuple[Kind, str], UnmappedItem]
    without_type: bool
    without_organization: bool
    policy: Policy
    space: str

    @classmethod
    def load(cls, runtime: Runtime) -> "_Known":
        lacking, _ = mappings.all_unmapped(runtime)
        source, target = runtime.stored("source").name, runtime.stored("target").name
        everything = MappingFilter()
        with runtime.database.transaction() as connection:
            return cls(
                (source, target),
                source_rows.load_directory(connection, source),
                target_rows.load_directory(connection, target, with_projects=False),
                source_rows.unlisted_agents(connection, source),
                store.load(connection, source),
                {
                    kind: mapping_names.page(connection, kind, source, target, everything, limit=None, offset=0)[0]
                    for kind in Kind
                },
                {(row.kind, row.zammad_id): row for row in lacking},
                store.books_without(connection, source, "activity_type_id"),
                store.books_without(connection, source, "organization_id"),
                runtime.settings.policy,
                connectors.number_space(connection, source),
            )

    def unlisted_agent(self, id_: str) -> Agent:
        """Somebody with bookings whom the directory does not have: new, or deleted in the source."""
        waiting = self.waiting.get((Kind.USER, id_))
        return Agent(id_, "", "", waiting.name if waiting else f"id {id_}", active=False)

    def waits(self, row: Partner, id_: str) -> Partner:
        """The partner with what waits for it."""
        waiting = self.waiting.get((row.kind, id_))
        return replace(row, entries=waiting.entries, minutes=waiting.minutes) if waiting else row


def _partners(known: _Known, kind: Kind) -> Iterator[Partner]:
    if known.target is None:
        return iter(())
    match kind:
        case Kind.USER:
            return _users(known, known.target)
        case Kind.ACTIVITY:
            return _activities(known, known.target)
        case Kind.CUSTOMER:
            return _customers(known, known.target)


def _users(known: _Known, target: TargetDirectory) -> Iterator[Partner]:
    """The agents, then the users of the target whom no agent is."""
    matcher = UserMatcher(target.users, known.source.agents, known.stored.users, known.stored.carried)
    rows = {row.zammad_id or (row.email or "").casefold(): row for row in known.rows[Kind.USER]}
    taken: set[int] = set()
    for agent in (*known.source.agents, *map(known.unlisted_agent, known.unlisted)):
        found = matcher.found(agent.id)
        by_hand = found.way in {Way.HAND, Way.GONE}
        row = rows.pop(agent.id, None) or (rows.pop(agent.email.casefold(), None) if by_hand else None)
        name, note = agent.name or agent.login, agent.email or agent.login
        partner = Partner(Kind.USER, f"id:{agent.id}", name, note, found.way, agent.active)
        if isinstance(found.user, TargetUser):
            taken.add(found.user.id)
            others = tuple(other.name or other.login for other in matcher.others(found.user.id, agent.id))
            partner = replace(_with_user(partner, found.user), shared_with=others)
        yield known.waits(replace(partner, mapping=row), agent.id)
    for row in rows.values():
        way = Way.GONE if row.kimai is None else Way.HAND
        name = row.zammad or row.email or f"id {row.zammad_id}"
        yield Partner(
            Kind.USER,
            row.email or f"id:{row.zammad_id}",
            name,
            "",
            way,
            active=False,
            kimai_id=row.kimai_id,
            kimai=row.kimai or "",
            mapping=row,
        )
        taken.add(row.kimai_id or 0)
    for user in target.users:
        if user.enabled and not user.system_account and user.id not in taken:
            yield _with_user(Partner(Kind.USER, "", "", "", Way.UNMAPPED), user)


def _with_user(partner: Partner, user: TargetUser) -> Partner:
    name, note = user.name or user.username, user.email or user.username
    return replace(partner, kimai_id=user.id, kimai=name, kimai_note=note, usable=user.enabled)


def _activities(known: _Known, target: TargetDirectory) -> Iterator[Partner]:
    """The types that are in use or mapped, and bookings without type; each mapping for one organization follows."""
    activities = {row.id: row for row in target.activities}
    rows = {(row.zammad_id, row.organization_id): row for row in known.rows[Kind.ACTIVITY]}
    types = {row.id: row for row in known.source.activity_types}

    def partner(type_id: str | None, row: MappingRow | None) -> Partner:
        type_ = types.get(type_id or NO_TYPE)
        name = "" if type_id is None else type_.name if type_ else f"id {type_id}"
        value, active = f"id:{type_id}" if type_id else NOTHING, type_id is None or (type_ is not None and type_.active)
        if row is None:
            return Partner(Kind.ACTIVITY, value, name, "", Way.UNMAPPED, active)
        activity = activities.get(row.kimai_id or 0)
        way = Way.HAND if row.known and activity else Way.GONE
        found = Partner(Kind.ACTIVITY, value, name, "", way, active, row.kimai_id, mapping=row)
        if row.organization_id is not None:
            found = replace(found, organization=row.organization or f"id {row.organization_id}")
        return replace(found, kimai=activity.name, usable=activity.visible) if activity else found

    everywhere: list[str | None] = [*types, *([None] if known.without_type else [])]
    for type_id in dict.fromkeys([*everywhere, *(type_id for type_id, scope in rows if scope is None)]):
        row = rows.get((type_id, None))
        found = known.waits(partner(type_id, row), type_id or NO_TYPE)
        if row is not None or found.active or found.entries:
            yield found
    for (type_id, scope), row in rows.items():
        if scope is not None:
            yield partner(type_id, row)


def _customers(known: _Known, target: TargetDirectory) -> Iterator[Partner]:
    """The organizations with bookings or mappings, and tickets without one."""
    resolver = Resolver(target, known.stored, known.policy, known.source, space=known.space)
    customers = {row.id: row for row in target.customers}
    rows = {row.zammad_id or NO_ORGANIZATION: row for row in known.rows[Kind.CUSTOMER]}
    organizations = {row.id: (row.name, row.active) for row in known.source.organizations}
    if known.without_organization or NO_ORGANIZATION in rows:
        organizations[NO_ORGANIZATION] = ("", True)
    for id_ in rows.keys() - organizations.keys():
        organizations[id_] = (f"id {id_}", False)
    for id_, (name, active) in organizations.items():
        way, customer_id = _customer(known, resolver, id_, name)
        partner = Partner(
            Kind.CUSTOMER,
            f"id:{id_}" if id_ != NO_ORGANIZATION else NOTHING,
            name,
            "",
            way,
            active,
            mapping=rows.get(id_),
        )
        customer = customers.get(customer_id or 0)
        if customer is not None:
            note, usable = customer.number or "", customer.visible
            partner = replace(partner, kimai_id=customer.id, kimai=customer.name, kimai_note=note, usable=usable)
        yield known.waits(partner, id_)


def _customer(known: _Known, resolver: Resolver, organization: str, name: str) -> tuple[Way, int | None]:
    """How the customer of an organization is known, and its id unless it is still to be created."""
    if known.policy.project_strategy is ProjectStrategy.FIXED:
        return Way.FIXED, None
    found, mapped = resolver.customer(organization, name), organization in known.stored.customers
    if isinstance(found, AssignmentProblem):
        return Way.GONE if mapped else Way.NAMESAKES, None
    if mapped:
        return Way.HAND, found.id
    if found.id is None:
        return Way.NEW, None
    return Way.NUMBER if found.number == customer_number(known.space, organization) else Way.NAME, found.id


def _with_days(runtime: Runtime, known: _Known, rows: Sequence[Partner]) -> Iterator[Partner]:
    """The partners with the day since when they are, and with suggestions for those without one."""
    zone, (source, target) = runtime.settings.zone, known.names
    automatic = [row for row in rows if row.way.found and row.mapping is None]
    agents = [_id_of(row) for row in automatic if row.kind is Kind.USER]
    organizations = [_id_of(row) for row in automatic if row.kind is Kind.CUSTOMER]
    with runtime.database.transaction() as connection:
        carried = store.carried_since(connection, source, agents) if agents else {}
        first = store.first_days(connection, source, target, organizations) if organizations else {}
    for row in rows:
        if row.state is State.OPEN and known.target is not None:
            names = [row.name, row.note] if row.kind is Kind.USER else [row.name]
            yield replace(row, suggestions=mappings.suggestions(row.kind, names, known.target))
        elif row.mapping is not None:
            yield replace(row, since=row.mapping.updated_at.astimezone(zone).date())
        elif row.kind is Kind.USER:
            written = carried.get((_id_of(row), row.kimai_id or 0))
            yield replace(row, since=written.astimezone(zone).date()) if written else row
        else:
            yield replace(row, since=first.get(_id_of(row)))


def _id_of(row: Partner) -> str:
    return row.zammad.removeprefix("id:") if row.zammad.startswith("id:") else NO_ORGANIZATION
