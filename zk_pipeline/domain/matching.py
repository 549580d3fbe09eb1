"""Matching: which time sheet of the target belongs to which entry, in three tiers and one to one.

Tier 1 is the ledger or the marker. Tier 2 is the same person, ticket, day and duration. Tier 3 is fuzzy, and is only
ever offered. Time sheets of other people, without a ticket reference, still running or marked as ours are no
candidates.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from itertools import chain
from zoneinfo import ZoneInfo

from rapidfuzz import fuzz

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.markers import has_marker, marked_ids, ticket_references
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.source_ids import source_id_order

SAME_DURATION_SECONDS = 60
FUZZY_SECONDS = 300
FUZZY_SHARE_PERCENT = 10


class Tier(IntEnum):
    """How certain a match is, 1 being the most certain."""

    OURS = 1
    SAME = 2
    FUZZY = 3


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """An entry to match. `user_id` is `None` while the person is not mapped; then only tier 1 can match."""

    source_id: str
    user_id: int | None
    ticket_number: str
    day: date
    seconds: int
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible pair. `score` is 0 to 100; tier 2 always scores above tier 3."""

    source_id: str
    timesheet_id: int
    tier: Tier
    score: int


@dataclass(frozen=True, slots=True)
class Match:
    """The match of one entry.

    `timesheet` is the partner; `candidates` are the pairs considered, best first; `ambiguous` says that equally good
    ones were left, so none was chosen; `clones` are other time sheets with the same marker.
    """

    timesheet: Timesheet | None = None
    tier: Tier | None = None
    ambiguous: bool = False
    candidates: tuple[Candidate, ...] = ()
    clones: tuple[Timesheet, ...] = ()


@dataclass(frozen=True, slots=True)
class Matches:
    """The matches of all entries. `strays` are time sheets of ours that no entry here owns, as (source id, row).

    A time sheet in the ledger belongs to its owner alone; otherwise each of its markers counts.
    """

    by_source: Mapping[str, Match]
    strays: tuple[tuple[str, Timesheet], ...]


@dataclass(frozen=True, slots=True)
class OwnershipIndex:
    """How time sheets are recognized as ours: connector name, and ledger (source id to time sheet id).

    The ledger may contain more entries than are matched; their time sheets are not available to others.
    """

    connector: str
    ledger: Mapping[str, int]


def match(
    wanted: Sequence[MatchRequest], timesheets: Iterable[Timesheet], ours: OwnershipIndex, zone: ZoneInfo
) -> Matches:
    """Match time sheets to entries. The order of the input does not matter."""
    rows = sorted(timesheets, key=lambda row: row.id)
    marked = _by_marker(rows, ours.connector)
    owners = _owners(ours.ledger)
    matched = _by_ledger_or_marker(wanted, rows, marked, owners)
    clones = _clones(matched, marked, owners)
    whole = (row for row in rows if row.end is not None and not row.faults)
    free = [row for row in whole if row.id not in owners and not has_marker(row.description)]
    open_wanted = [entry for entry in wanted if entry.source_id not in matched]
    candidates = _candidates(open_wanted, free, zone)
    pairs, tied = assign(chain.from_iterable(candidates.values()))
    by_id = {row.id: row for row in free}
    by_source = {source_id: Match(row, Tier.OURS, clones=clones[source_id]) for source_id, row in matched.items()} | {
        entry.source_id: _found(entry.source_id, pairs, tied, candidates.get(entry.source_id, ()), by_id)
        for entry in open_wanted
    }
    return Matches(by_source, _strays(rows, marked, owners, {entry.source_id for entry in wanted}))


def assign(candidates: Iterable[Candidate]) -> tuple[dict[str, Candidate], frozenset[str]]:
    """Choose pairs one to one, best score first. Returns the pairs by entry, and the entries left undecided by a tie.

    A tie removes all its entries and time sheets, so that the result does not depend on the order.
    """
    levels: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        levels.setdefault(candidate.score, []).append(candidate)
    pairs: dict[str, Candidate] = {}
    tied: set[str] = set()
    used: set[int] = set()
    for score in sorted(levels, reverse=True):
        open_pairs = [
            pair
            for pair in levels[score]
            if pair.source_id not in pairs and pair.source_id not in tied and pair.timesheet_id not in used
        ]
        by_entry = _counts(pair.source_id for pair in open_pairs)
        by_timesheet = _counts(pair.timesheet_id for pair in open_pairs)
        for pair in open_pairs:
            if by_entry[pair.source_id] == 1 and by_timesheet[pair.timesheet_id] == 1:
                pairs[pair.source_id] = pair
            else:
                tied.add(pair.source_id)
            used.add(pair.timesheet_id)
    return pairs, frozenset(tied)


def _by_marker(rows: Sequence[Timesheet], connector: str) -> dict[str, list[Timesheet]]:
    """The time sheets by the source ids in their markers. The first is ours: stopped before running, then by id."""
    marked: dict[str, list[Timesheet]] = {}
    for row in sorted(rows, key=lambda row: (row.end is None, row.id)):
        for source_id in marked_ids(row.description, connector):
            marked.setdefault(source_id, []).append(row)
    return marked


def _owners(ledger: Mapping[str, int]) -> dict[int, str]:
    """The source id by time sheet. A time sheet that the ledger has twice belongs to the oldest booking."""
    owners: dict[int, str] = {}
    for source_id in sorted(ledger, key=source_id_order):
        owners.setdefault(ledger[source_id], source_id)
    return owners


def _by_ledger_or_marker(
    wanted: Sequence[MatchRequest],
    rows: Sequence[Timesheet],
    marked: Mapping[str, Sequence[Timesheet]],
    owners: dict[int, str],
) -> dict[str, Timesheet]:
    """Tier 1. Time sheets claimed by their marker are added to the owners, so that no one claims them again."""
    owned = {owners[row.id]: row for row in rows if row.id in owners}
    matched: dict[str, Timesheet] = {}
    for source_id in sorted((entry.source_id for entry in wanted), key=source_id_order):
        unowned = (row for row in marked.get(source_id, ()) if row.id not in owners)
        row = owned.get(source_id) or next(unowned, None)
        if row is not None:
            owners[row.id] = source_id
            matched[source_id] = row
    return matched


def _clones(
    matched: Mapping[str, Timesheet], marked: Mapping[str, Sequence[Timesheet]], owners: dict[int, str]
) -> dict[str, tuple[Timesheet, ...]]:
    """Time sheets that carry a matched entry's marker and have no owner; each is the clone of one entry."""
    clones: dict[str, tuple[Timesheet, ...]] = {}
    for source_id in matched:
        clones[source_id] = tuple(row for row in marked.get(source_id, ()) if row.id not in owners)
        owners.update({row.id: source_id for row in clones[source_id]})
    return clones


def _candidates(
    wanted: Sequence[MatchRequest], free: Sequence[Timesheet], zone: ZoneInfo
) -> dict[str, tuple[Candidate, ...]]:
    by_user_and_ticket: dict[tuple[int, str], list[Timesheet]] = {}
    for row in free:
        for number in ticket_references(row.description):
            by_user_and_ticket.setdefault((row.user_id, number), []).append(row)
    for rows in by_user_and_ticket.values():
        rows.sort(key=_seconds)
    found: dict[str, tuple[Candidate, ...]] = {}
    for entry in wanted:
        if entry.user_id is None:
            continue
        rows = by_user_and_ticket.get((entry.user_id, entry.ticket_number.lstrip("#")), [])
        compared = [
            candidate for row in _similarly_long(rows, entry.seconds) if (candidate := _compare(entry, row, zone))
        ]
        found[entry.source_id] = tuple(sorted(compared, key=lambda pair: (-pair.score, pair.timesheet_id)))
    return found


def _similarly_long(rows: Sequence[Timesheet], seconds: int) -> Sequence[Timesheet]:
    """The rows, sorted by duration, that are close enough to be compared."""
    allowed = _allowed_difference(seconds)
    first = bisect_left(rows, seconds - allowed, key=_seconds)
    return rows[first : bisect_right(rows, seconds + allowed, key=_seconds)]


def _seconds(row: Timesheet) -> int:
    return row.duration_seconds


def _allowed_difference(seconds: int) -> int:
    return max(FUZZY_SECONDS, seconds * FUZZY_SHARE_PERCENT // 100)


def _compare(entry: MatchRequest, row: Timesheet, zone: ZoneInfo) -> Candidate | None:
    difference = abs(row.duration_seconds - entry.seconds)
    days_apart = abs(local_day(row.begin, zone) - entry.day)
    if not days_apart and difference <= SAME_DURATION_SECONDS:
        return Candidate(entry.source_id, row.id, Tier.SAME, 100 - difference * 10 // SAME_DURATION_SECONDS)
    allowed = _allowed_difference(entry.seconds)
    if days_apart > timedelta(days=1) or difference > allowed:
        return None
    similarity = float(fuzz.token_set_ratio(entry.text, row.description))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    text = round(similarity) * 40 // 100
    closeness = 30 - difference * 30 // (allowed + 1)
    return Candidate(entry.source_id, row.id, Tier.FUZZY, text + closeness + (0 if days_apart else 15))


def _found(
    source_id: str,
    pairs: Mapping[str, Candidate],
    tied: AbstractSet[str],
    candidates: tuple[Candidate, ...],
    by_id: Mapping[int, Timesheet],
) -> Match:
    pair = pairs.get(source_id)
    if pair is None:
        return Match(ambiguous=source_id in tied, candidates=candidates)
    return Match(by_id[pair.timesheet_id], pair.tier, candidates=candidates)


def _strays(
    rows: Sequence[Timesheet],
    marked: Mapping[str, Sequence[Timesheet]],
    owners: Mapping[int, str],
    wanted: AbstractSet[str],
) -> tuple[tuple[str, Timesheet], ...]:
    owned = [(owners[row.id], row) for row in rows if row.id in owners]
    unowned = [(source_id, row) for source_id, found in marked.items() for row in found if row.id not in owners]
    return tuple((source_id, row) for source_id, row in owned + unowned if source_id not in wanted)


def _counts(values: Iterable[object]) -> dict[object, int]:
    counts: dict[object, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts
