"""Ordered rules: which attribute of a ticket decides the activity and the customer of its bookings (docs/mappings.md).

The first attribute that a ticket has decides; of several values none is taken. A type that stands for the activity and
an organization that stands for the customer keep the source's ids. All other ids begin with the name of their
attribute, so that type 7 never becomes the customer of organization 7, nor the value of one field that of another.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast
from urllib.parse import quote

from zk_pipeline.domain.names import fold_text
from zk_pipeline.domain.records import ActivityType, Organization, SourceDirectory, Ticket

TYPE, ORGANIZATION, GROUP, LABEL, FIELD = "type", "organization", "group", "label", "field"
ATTRIBUTES = (TYPE, "component", LABEL, GROUP, ORGANIZATION, "project", FIELD)
OF_EVERY_SOURCE = frozenset({TYPE, ORGANIZATION, GROUP})

LONGEST_ID = 128
"""Of an id of a source; values of fields may be longer."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of an attribute: an id of the source, and a name for people."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """An attribute to look at. `argument` is the name of a field, or a pattern that a label has to fit."""

    attribute: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.attribute}:{self.argument}" if self.argument else self.attribute

    @property
    def key(self) -> str:
        """The name by which a connector gives the attribute: `component`, `label`, `field:NAME`."""
        return str(self) if self.attribute == FIELD else self.attribute

    def value(self, value: Value, keeps: str) -> Value:
        """The value with an id that no other attribute has; those of the attribute `keeps` stay as they are."""
        if self.attribute == keeps:
            return value
        of_field = (quote(self.argument, safe="._-"),) if self.attribute == FIELD else ()
        id_ = ":".join((self.attribute, *of_field, quote(value.id, safe=":._-")))
        if len(id_) > LONGEST_ID:
            id_ = f"{self.attribute}:{hashlib.sha256(id_.encode()).hexdigest()[:20]}"
        return Value(id_, value.name)


@dataclass(frozen=True, slots=True)
class Decision:
    """What rules decided, and by which rule; or the `problem` that prevents it."""

    value: Value | None = None
    rule: Rule | None = None
    problem: str = ""


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Rules written as `component, label:billing-*, type`. Raises `ValueError` for the first bad one."""
    rules: list[Rule] = []
    for written in (part.strip() for part in text.split(",")):
        name, _, argument = (part.strip() for part in written.partition(":"))
        if name not in ATTRIBUTES:
            raise ValueError(f"has the rule {written!r}; a rule is one of {', '.join(ATTRIBUTES[:-1])} or field:NAME")
        if name == FIELD and not argument:
            raise ValueError("has the rule 'field' without a name; write field:NAME")
        if argument and name not in {FIELD, LABEL}:
            raise ValueError(f"has the rule {written!r}; only a field or a label takes something after the colon")
        rules.append(Rule(name, argument))
        if rules.count(rules[-1]) > 1:
            raise ValueError(f"names {written!r} twice; the first of them decides")
    return tuple(rules)


def written(rules: Iterable[Rule]) -> str:
    """Rules as text."""
    return ", ".join(map(str, rules))


def decide(rules: Sequence[Rule], ticket: Ticket | None, own: Mapping[str, Value | None], keeps: str) -> Decision:
    """The value that counts for a ticket; `own` are the values of `type` and `organization`.

    `keeps` is the one of these that the source itself has for it: `type` for the activity, `organization` for the
    customer.
    """
    for rule in rules:
        if rule.attribute in own:
            found = [value] if (value := own[rule.attribute]) is not None else []
        elif ticket is None or not ticket.complete:
            return Decision(problem=f"the account does not see its {rule}, which decides")
        else:
            found = _values(rule, ticket)
        if len(found) > 1:
            names = ", ".join(sorted(value.name for value in found))
            return Decision(problem=f"it has several values of {rule} ({names}), and one has to decide")
        if found:
            return Decision(rule.value(found[0], keeps), rule)
    return Decision()


def looks_at(attribute: str, rules: Sequence[Rule], decision: Decision) -> bool:
    """Whether the decision would be another one, had the ticket another value of this attribute."""
    looked_at = rules if decision.rule is None else rules[: rules.index(decision.rule) + 1]
    return any(rule.attribute == attribute for rule in looked_at)


def named_by(activity: Sequence[Rule], customer: Sequence[Rule], tickets: Iterable[Ticket]) -> SourceDirectory:
    """The activities and customers that the attributes of tickets stand for, so that they can be mapped by name."""
    kinds: dict[str, ActivityType] = {}
    organizations: dict[str, Organization] = {}
    for ticket in tickets:
        for value in _made(activity, ticket, TYPE):
            kinds[value.id] = ActivityType(value.id, value.name, active=True)
        for value in _made(customer, ticket, ORGANIZATION):
            organizations[value.id] = Organization(value.id, value.name, active=True)
    return SourceDirectory(organizations=tuple(organizations.values()), activity_types=tuple(kinds.values()))


def values_of(raw: Any) -> list[dict[str, str]]:
    """What a field of a ticket holds, as `Ticket.attributes` has it: a text, an object of id and name, or a list."""
    if isinstance(raw, list):
        return [value for item in cast("list[Any]", raw) for value in values_of(item)]
    if isinstance(raw, dict):
        row = cast("dict[str, Any]", raw)
        name = next((row[key] for key in ("name", "value", "displayName") if isinstance(row.get(key), str)), "")
        id_ = row.get("id", name)
        return [{"id": str(id_), "name": name or str(id_)}] if id_ not in {None, ""} else []
    if isinstance(raw, bool) or raw is None or not str(raw).strip():
        return []
    text = str(raw).strip()
    return [{"id": text, "name": text}]


def fields_of(raw: Mapping[str, Any], asked: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """The asked ones among the custom fields of a ticket, by `field:NAME`."""
    names = (key for key in asked if key.startswith(f"{FIELD}:"))
    return {key: values for key in names if (values := values_of(raw.get(key.partition(":")[2])))}


def _made(rules: Sequence[Rule], ticket: Ticket, keeps: str) -> list[Value]:
    others = (rule for rule in rules if rule.attribute != keeps)
    return [rule.value(value, keeps) for rule in others for value in _values(rule, ticket)]


def _values(rule: Rule, ticket: Ticket) -> list[Value]:
    """What the ticket says of itself; its bookings have the types."""
    if rule.attribute == ORGANIZATION:
        id_, name = ticket.organization_id, ticket.organization_name
        return [Value(id_, name)] if id_ and name else []
    if rule.attribute == GROUP:
        return [Value(ticket.group_id, ticket.group_name or f"Group {ticket.group_id}")] if ticket.group_id else []
    found = {item["id"]: Value(item["id"], item["name"]) for item in ticket.attributes.get(rule.key, ())}
    if rule.attribute == LABEL and rule.argument:
        pattern = fold_text(rule.argument)
        return [value for value in found.values() if fnmatchcase(fold_text(value.name), pattern)]
    return list(found.values())
