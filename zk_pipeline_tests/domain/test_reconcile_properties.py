"""What holds for the plan of any day, whatever is booked, written, moved, copied or deleted."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.entries import SyncStatus
from zk_pipeline.domain.ledger import PushState
from zk_pipeline.domain.plan import DayInputs
from zk_pipeline.domain.reasons import Reason
from zk_pipeline_tests.domain.builders import (
    ANNA,
    BEN,
    DAY,
    SERVER,
    at,
    entry,
    inputs,
    ledger_row,
    ours,
    reconciler,
    timesheet,
)

TOMORROW = DAY + timedelta(days=1)
NO_OVERLAP = replace(SERVER, allow_overlapping=False)
NO_FUTURE = replace(SERVER, allow_future_times=False)

ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["0", "15", "18", "60.5"]),
        st.sampled_from(["anna@example.org", "BEN@example.org", "carol@example.org"]),
        st.sampled_from([3, 4]),
        st.integers(0, 95),
    ),
    max_size=8,
).map(
    lambda rows: [
        entry(
            str(id_),
            minutes=minutes,
            begin=(at("2025-08-16T00:00") + timedelta(minutes=15 * quarter)).isoformat(),
            user_email=email,
            activity_type_id=str(type_id),
            sync_status=SyncStatus.PENDING if minutes != "0" else SyncStatus.EXCLUDED,
        )
        for id_, (minutes, email, type_id, quarter) in enumerate(rows, start=6)
    ]
)
TIMESHEETS = st.lists(
    st.tuples(
        st.sampled_from([ANNA.id, BEN.id]),
        st.integers(0, 95),
        st.sampled_from([15, 18, 60]),
        st.sampled_from(
            [
                "",
                "#50 call",
                "#50 [zk-zammad-6]",
                "[zk-zammad-7] [zk-zammad-8]",
                "[zk-zammad-99]",
                "[zk-zammad-98] [zk-zammad-6]",
            ]
        ),
        st.booleans(),
    ),
    max_size=8,
).map(
    lambda rows: tuple(
        timesheet(
            id_,
            user_id=user,
            begin=(at("2025-08-16T00:00") + timedelta(minutes=15 * quarter)).isoformat(),
            minutes=minutes,
            description=text,
            exported=exported,
        )
        for id_, (user, quarter, minutes, text, exported) in enumerate(rows, start=100)
    )
)
LEDGERS = st.lists(
    st.builds(
        ledger_row,
        st.integers(5, 14).map(str),
        state=st.sampled_from(PushState),
        kimai_id=st.none() | st.integers(100, 110),
        base=st.none() | st.builds(ours, st.just(100)),
    ),
    max_size=6,
    unique_by=lambda row: row.source_id,
).map(tuple)
SERVERS = st.sampled_from([SERVER, NO_OVERLAP, NO_FUTURE, replace(NO_OVERLAP, allow_future_times=False)])
FACTS = st.builds(
    lambda entries, ledger, **more: inputs(*entries, ledger=ledger, **more),
    ENTRIES,
    LEDGERS,
    timesheets=TIMESHEETS,
    server=SERVERS,
    gone=st.frozensets(st.integers(106, 110), max_size=3),
    today=st.sampled_from([DAY, TOMORROW]),
    locked_before=st.sampled_from([None, DAY, TOMORROW]),
)


@given(FACTS)
def test_every_entry_has_exactly_one_line_and_no_key_comes_twice(facts: DayInputs):
    lines = reconciler().day(facts)
    keys = Counter(line.key for line in lines)
    assert set(keys.values()) <= {1}
    assert {row.source_id for row in facts.entries} <= keys.keys()
    assert sum(line.minutes for line in lines) == sum(row.time_minutes for row in facts.entries)


@given(FACTS)
def test_no_time_sheet_is_used_by_two_lines(facts: DayInputs):
    shown = {row.id for row in facts.timesheets}
    used = Counter(
        line.kimai_id
        for line in reconciler().day(facts)
        if line.kimai_id in shown and line.reason is not Reason.UNSEEN_IN_KIMAI
    )
    assert set(used.values()) <= {1}


@given(FACTS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(facts: DayInputs, random):
    entries, timesheets, ledger = list(facts.entries), list(facts.timesheets), list(facts.ledger.items())
    for mixed in (entries, timesheets, ledger):
        random.shuffle(mixed)
    shuffled = replace(facts, entries=entries, timesheets=timesheets, ledger=dict(ledger))
    assert reconciler().day(shuffled) == reconciler().day(facts)


@given(FACTS)
def test_nothing_billed_closed_or_foreign_is_written_and_nothing_is_booked_beside_its_own(facts: DayInputs):
    rows = {row.id: row for row in facts.timesheets}
    for line in reconciler().day(facts):
        if line.action is Action.UPDATE:
            assert not rows[line.kimai_id or 0].exported
        if line.action in {Action.UPDATE, Action.CREATE}:
            assert facts.locked_before is None or line.entry_date >= facts.locked_before
            assert line.draft is not None
        if line.action in {Action.UPDATE, Action.LINK}:
            bound = {row.kimai_id for row in facts.ledger.values() if row.source_id == line.source_id}
            assert line.kimai_id in bound or f"[zk-zammad-{line.source_id}]" in rows[line.kimai_id or 0].description
        if line.action is Action.CREATE:
            written = facts.ledger.get(line.source_id or "")
            assert written is None or written.kimai_id is None or written.state is PushState.UNDONE


@given(FACTS)
def test_time_is_written_only_for_the_person_of_the_booking(facts: DayInputs):
    people = {"anna@example.org": ANNA.id, "ben@example.org": BEN.id}
    emails = {row.source_id: row.user_email.casefold() for row in facts.entries}
    for line in reconciler().day(facts):
        if line.draft is not None:
            assert line.draft.desired.user_id == people[emails[line.source_id or ""]]


@given(FACTS)
def test_new_time_sheets_obey_the_servers_rules(facts: DayInputs):
    taken = [(row.user_id, row.begin, row.end) for row in facts.timesheets if row.end is not None]
    for line in reconciler().day(facts):
        if line.action is not Action.CREATE or line.draft is None:
            continue
        user, (begin, end) = line.draft.desired.user_id, line.draft.span
        assert end - begin == timedelta(seconds=line.draft.desired.seconds)
        assert (begin.microsecond, begin.date()) == (0, DAY)
        if not facts.server.allow_overlapping:
            assert not any(user == other and begin < stop and start < end for other, start, stop in taken)
            taken.append((user, begin, end))


def test_a_crowded_day_is_planned_in_moments():
    row = entry(begin="2025-08-16T00:00", minutes="1")
    entries = [
        replace(row, source_id=str(id_), description=f"[zk-zammad-{id_}]", user_email="ben@example.org")
        for id_ in range(1, 501)
    ]
    rows = tuple(timesheet(id_, user_id=BEN.id, minutes=2, description=f"#{id_} call") for id_ in range(1_000, 5_000))
    lines = reconciler().day(inputs(*entries, timesheets=rows, server=NO_OVERLAP))
    assert [line.action for line in lines] == [Action.CREATE] * 500
