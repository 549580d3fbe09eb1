"""Suggestions: what people may mean for something that is not mapped yet. They are offered, and never taken by us."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from zk_pipeline.domain.names import fold
from zk_pipeline.domain.records import Activity, Customer, TargetUser

MOST = 3
LOWEST_SCORE = 70
"""Of 100: names that have less in common are only noise."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something of the target with everything that it is called, the name for people first."""

    id: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A candidate that comes near; 100 for one of exactly the same e-mail, user name or name."""

    id: int
    name: str
    score: int


def suggest(names: Sequence[str], candidates: Iterable[Candidate]) -> tuple[Suggestion, ...]:
    """The candidates that come nearest to any of these names, best first; those of the same name before all others."""
    wanted = [name for name in names if name]
    found = [Suggestion(one.id, one.names[0], _score(wanted, one)) for one in candidates if one.names]
    near = sorted((one for one in found if one.score >= LOWEST_SCORE), key=lambda one: (-one.score, one.name, one.id))
    return tuple(near[:MOST])


def of_users(users: Iterable[TargetUser]) -> list[Candidate]:
    """Those who can still be given time."""
    rows = (row for row in users if row.enabled)
    return [Candidate(row.id, tuple(filter(None, (row.name or row.username, row.username, row.email)))) for row in rows]


def of_activities(activities: Iterable[Activity]) -> list[Candidate]:
    """Those that can still be booked."""
    return [Candidate(row.id, (row.name,)) for row in activities if row.visible]


def of_customers(customers: Iterable[Customer]) -> list[Candidate]:
    """Those that are in use."""
    return [Candidate(row.id, (row.name,)) for row in customers if row.visible]


def _score(wanted: Sequence[str], candidate: Candidate) -> int:
    names = {fold(name) for name in candidate.names}
    if any(fold(name) in names for name in wanted):
        return 100
    pairs = ((_telling(name), _telling(other)) for name in wanted for other in names)
    return min(99, int(max((fuzz.WRatio(one, other) for one, other in pairs), default=0)))


def _telling(name: str) -> str:
    """Without the domain of an e-mail, which all colleagues share."""
    return fold(name).partition("@")[0]
