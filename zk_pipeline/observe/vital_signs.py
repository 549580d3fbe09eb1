"""Vital signs: the judgement of the installation's figures. Every threshold and every sentence is here.

`/api/health`, `/metrics`, `zk doctor` and the alerts show what `judge` says of what
`zk_pipeline.observe.measurements` measured. The texts are for everybody: addresses, paths and other systems' words
stand in `detail`, which health leaves out.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from zk_pipeline.domain.vital_figures import (
    AUTOMATIONS,
    DAEMONS,
    DATABASE,
    DELIVERIES,
    DISK,
    GIGABYTE,
    LONG_RUNS,
    MEGABYTE,
    QUEUE,
    REQUESTS,
    SEVERITY,
    SYNC,
    SYSTEMS,
    TITLES,
    Automation,
    Backlog,
    DatabaseResponse,
    Facts,
    Level,
    Measurement,
    Measurements,
    Orchestration,
    PollIntervals,
    Space,
    StoreFigures,
    System,
    UnfinishedRun,
    VitalSign,
    duration_text,
    size_text,
)

NOT_MEASURED_AFTER = timedelta(seconds=45)
DATABASE_NOT_MEASURED_AFTER = timedelta(seconds=10)
"""An older figure counts as failed. The database is asked every two seconds, most others every ten."""

SLOW_ANSWER = 2.0
"""Seconds after which the answer to an empty query is slow."""

FREE_TO_WORK = 500 * MEGABYTE
FREE_TO_BE_EASY = 2 * GIGABYTE
PERCENT_TO_BE_EASY = 10

DAEMON_SILENT_AFTER = timedelta(minutes=2)
"""A running daemon beats every 30 seconds; Dagster itself takes half an hour to call one dead."""

TICKS_FAILED = 3
TICKS_FAILED_FOR = timedelta(minutes=1)
"""A sensor fails after so many bad ticks in a row over that time; a schedule after one, as its run is missing."""

SENSOR_SILENT_AFTER = timedelta(minutes=5)
"""At least; a sensor that ticks rarely gets ten of its intervals."""

INTERVALS_TO_TICK = 10

RUN_WAITS_AFTER = timedelta(minutes=5)
RUN_WORKS_FOR = timedelta(minutes=65)
"""Dagster ends a run after an hour (`max_runtime_seconds`), unless that fails; with five minutes' grace."""

RUNS_AT_ONCE = 4
"""`max_concurrent_runs` of dagster.yaml."""

REQUEST_DUE_FOR = timedelta(minutes=10)
REQUEST_OPEN_FOR = timedelta(hours=2)
"""Its runs keep failing: they are at most an hour apart."""

DELIVERY_WAITS_FOR = timedelta(minutes=10)

AWAY_FOR = timedelta(minutes=1)
"""A shorter outage is a warning: the feed asks again after seconds. A refused token fails at once."""

POLLS_TO_MISS = 3
UNREAD_AFTER = timedelta(minutes=5)
"""And so many polls of the system's feed."""

SETTLED_AFTER = timedelta(minutes=1)
"""A sign is reported once it fails for so long; restarting everything takes less."""

_RUNNER = (DAEMONS, AUTOMATIONS)
_START = "Start everything: zk up"
_LOOK = "Look at logs/daemon.log in ZK_HOME, and restart `zk up`."
_WAITS = frozenset({"QUEUED", "NOT_STARTED"})
_BEGINS = frozenset({"STARTING", "STARTED", "CANCELING"})
_NAMED = 5


def judge(measured: Measurements, pace: PollIntervals, now: datetime) -> list[VitalSign]:
    """Every sign, in a fixed order. A figure that is too old or missing counts as failed."""
    dagster = measured.dagster
    working = dagster is not None and dagster.facts is not None and _sync_works(dagster.facts)
    records = measured.records
    known = {row.role: row.name for row in records.facts.systems} if records.facts else SYSTEMS
    systems = tuple(known.values())
    found = [
        *_measured(measured.database, (DATABASE,), _database, now, DATABASE_NOT_MEASURED_AFTER, DATABASE),
        *_measured(measured.disk, (DISK,), _disk, now, NOT_MEASURED_AFTER, DISK),
    ]
    if dagster is not None:
        signs = (DAEMONS, AUTOMATIONS, QUEUE, LONG_RUNS)
        found += _measured(dagster, signs, lambda facts: _dagster(facts, pace, now), now, NOT_MEASURED_AFTER, DAEMONS)
    signs = (REQUESTS, DELIVERIES, SYNC, *systems)

    # It imports Dagster, which the command line does without.
    from zk_pipeline.runtime.schedules import CATCH_UP  # noqa: PLC0415

    switched = dagster.facts.switched if dagster is not None and dagster.facts is not None else {}

    def judged(facts: StoreFigures) -> Iterator[VitalSign]:
        if not switched.get(CATCH_UP, facts.catch_up_on):
            facts = replace(facts, catch_up_due=None)
        return _records(facts, pace, now, working=working)

    found += _measured(records, signs, judged, now, NOT_MEASURED_AFTER, DATABASE)
    return found


def root_failures(signs: Iterable[VitalSign]) -> list[VitalSign]:
    """The failing signs to report: none whose cause is reported already."""
    failing = {sign.name: sign for sign in signs if sign.level is Level.FAIL}
    return [sign for sign in failing.values() if not failing.keys() & set(sign.follows)]


def _measured(
    reading: Measurement[Facts],
    names: Collection[str],
    judged: Callable[[Facts], Iterable[VitalSign]],
    now: datetime,
    bound: timedelta,
    lead: str,
) -> Iterator[VitalSign]:
    """The signs that the figures give while recent; without figures, the first sign fails at once."""
    is_old = now - (reading.at or reading.since) > bound
    if reading.facts is None or is_old:
        for name in names:
            causes = [cause for cause in (lead, next(iter(names))) if cause != name]
            yield _unmeasured(name, causes, reading, now, failed=is_old or bool(reading.problem))
        return
    for sign in judged(reading.facts):
        if sign.name == lead and reading.problem:
            yield _unmeasured(lead, (), reading, now, failed=True)
        else:
            yield replace(sign, at=reading.at)


def _unmeasured(
    name: str, causes: Iterable[str], reading: Measurement[Facts], now: datetime, *, failed: bool
) -> VitalSign:
    after = duration_text(now - (reading.at or reading.since))
    text = f"Not measured for {after}." if failed else "Not measured yet."
    return VitalSign(
        name,
        TITLES.get(name, name.capitalize()),
        Level.FAIL if failed else Level.WARN,
        text,
        "See that what is measured answers: the databases and the disk. zk doctor names it." if failed else "",
        reading.problem,
        tuple(causes),
        reading.at,
    )


def _sign(name: str, level: Level, text: str, remedy: str = "", detail: str = "", *follows: str) -> VitalSign:
    return VitalSign(name, TITLES[name], level, text, remedy if level is not Level.PASS else "", detail, follows)


def _database(answer: DatabaseResponse) -> Iterator[VitalSign]:
    remedy = "Start PostgreSQL, or correct ZK_DATABASE_URL; pending work then resumes."
    if answer.seconds is None:
        yield _sign(DATABASE, Level.FAIL, "The database does not answer.", remedy, answer.problem)
    elif answer.seconds > SLOW_ANSWER:
        text = f"The database took {answer.seconds:.1f} s to answer."
        yield _sign(DATABASE, Level.WARN, text, "Look at its load and at its disk.")
    else:
        yield _sign(DATABASE, Level.PASS, f"The database answers within {max(1, round(answer.seconds * 1000))} ms.")


def _disk(spaces: Sequence[Space]) -> Iterator[VitalSign]:
    remedy = "Make room or give it a larger disk: the embedded database and the logs grow there."
    judged = [(SEVERITY[level := _space_level(space)], -space.free, level, space) for space in spaces]
    _, _, level, tightest = max(judged, key=lambda row: row[:2])
    text = f"{size_text(tightest.free)} free of {size_text(tightest.total)}."
    yield _sign(DISK, level, text, remedy, f"The place is {tightest.path}.")


def _space_level(space: Space) -> Level:
    if space.free < FREE_TO_WORK:
        return Level.FAIL
    if space.free < FREE_TO_BE_EASY or space.free * 100 < space.total * PERCENT_TO_BE_EASY:
        return Level.WARN
    return Level.PASS


# ---- Dagster ----


def _dagster(facts: Orchestration, pace: PollIntervals, now: datetime) -> Iterator[VitalSign]:
    yield _daemons(facts.beats, now)
    yield _automations(facts, pace, now)
    yield _queue(facts, now)
    yield _long_runs(facts.runs, now)


def _daemons(beats: Mapping[str, datetime | None], now: datetime) -> VitalSign:
    silent = sorted(name for name, at in beats.items() if at is None or now - at > DAEMON_SILENT_AFTER)
    heard = [at for at in beats.values() if at is not None]
    if not silent:
        return _sign(DAEMONS, Level.PASS, f"All {len(beats)} daemons are alive.")
    if not heard:
        return _sign(DAEMONS, Level.WARN, "The daemon has never run: nothing starts by itself.", _START)
    if len(silent) == len(beats):
        text = f"The daemon does not run: no schedule and no sensor starts anything for {_ago(max(heard), now)}."
        return _sign(DAEMONS, Level.FAIL, text, f"{_START} (its log is logs/daemon.log in ZK_HOME)")
    text = f"No sign of life for {duration_text(DAEMON_SILENT_AFTER)} from {', '.join(silent)}."
    return _sign(DAEMONS, Level.FAIL, text, _LOOK)


def _automations(facts: Orchestration, pace: PollIntervals, now: datetime) -> VitalSign:
    """The worst problem of sensors and schedules, naming all that have it."""
    known = {row.name for row in facts.automations if row.is_sensor}
    found: dict[str, list[str]] = {}
    for row in facts.automations:
        trouble, words = _condition(row, pace, now)
        found.setdefault(trouble, []).append(words)
    if found.get("fails"):
        text = f"Ticks fail: {', '.join(found['fails'])}."
        remedy = "Open it in Dagster's UI under Automation: its ticks say why."
        return _sign(AUTOMATIONS, Level.FAIL, text, remedy, "", DAEMONS)
    if found.get("silent"):
        text = f"A sensor is on and does not tick: {', '.join(found['silent'])}."
        return _sign(AUTOMATIONS, Level.FAIL, text, f"See whether the code server runs. {_LOOK}", "", DAEMONS)
    if off := [*found.get("off", ()), *(name for name, on in facts.switched.items() if not on)]:
        text = f"Switched off in Dagster's UI: {', '.join(off)}. What it does is not done."
        return _sign(AUTOMATIONS, Level.WARN, text, "Switch it on under Automation.")
    if found.get("failed"):
        text = f"The newest tick failed: {', '.join(found['failed'])}."
        return _sign(AUTOMATIONS, Level.WARN, text, "Wait for the next one.")
    if missing := sorted(pace.ticks.keys() - known):
        text = f"Dagster does not know these sensors yet: {', '.join(missing)}."
        return _sign(AUTOMATIONS, Level.WARN, text, _START)
    return _sign(AUTOMATIONS, Level.PASS, f"{len(facts.automations)} sensors and schedules tick.")


def _condition(row: Automation, pace: PollIntervals, now: datetime) -> tuple[str, str]:
    """The problem of a sensor or schedule, if any, and its sentence."""
    is_ours = row.name in pace.ticks  # One that this version no longer has is off for good.
    bound = max(SENSOR_SILENT_AFTER, INTERVALS_TO_TICK * pace.ticks.get(row.name, timedelta(0)))
    if not row.is_on:
        return ("off" if is_ours else ""), row.name
    if row.is_sensor and (row.ticked_at is None or now - row.ticked_at > bound):
        return ("silent" if is_ours else ""), f"{row.name} for {_ago(row.ticked_at, now)}"
    if _fails(row, now):
        error = f", {row.error}" if row.error else ""
        return "fails", f"{row.name} ({row.failures} in a row within {_ago(row.failing_since, now)}{error})"
    return ("failed" if row.failures else ""), row.name


def _fails(row: Automation, now: datetime) -> bool:
    if not row.failures:
        return False
    if not row.is_sensor:
        return True
    return row.failures >= TICKS_FAILED and now - (row.failing_since or now) >= TICKS_FAILED_FOR


def stuck_runs(facts: Orchestration, now: datetime) -> list[UnfinishedRun]:
    """The runs that should have begun, or been cancelled, by now.

    A queued run waits behind a run of its lane that works, or behind so many as may work at once; such a wait may be
    long. Where nothing is in its way, or nothing of its lane has ended for minutes, the queue does not move. A run that
    is being started or cancelled takes no minutes either, whoever works meanwhile.
    """
    begun = [run for run in facts.runs if run.status in _BEGINS]
    working = {run.lane for run in facts.runs if run.status == "STARTED"}
    stuck: list[UnfinishedRun] = []
    for run in facts.runs:
        if run.status in _WAITS:
            is_behind = (run.lane and run.lane in working) or len(begun) >= RUNS_AT_ONCE
            since = max(run.since, facts.moved.get(run.lane, run.since))
        elif run.status in {"STARTING", "CANCELING"}:
            is_behind, since = False, run.since
        else:
            continue
        if not is_behind and now - since > RUN_WAITS_AFTER:
            stuck.append(run)
    return stuck


def _queue(facts: Orchestration, now: datetime) -> VitalSign:
    stuck = stuck_runs(facts, now)
    if not stuck:
        waiting = sum(run.status in _WAITS for run in facts.runs)
        text = f"Runs that wait for their turn: {waiting}." if waiting else "No run waits."
        return _sign(QUEUE, Level.PASS, text)
    text = f"The queue does not move: {_named(stuck, now)}."
    remedy = "Look at these runs in Dagster's UI under Runs, and terminate them there; restart `zk up` if they stay."
    return _sign(QUEUE, Level.FAIL, text, remedy, "", DAEMONS)


def _long_runs(runs: Iterable[UnfinishedRun], now: datetime) -> VitalSign:
    long = [run for run in runs if run.status == "STARTED" and now - run.since > RUN_WORKS_FOR]
    if not long:
        return _sign(LONG_RUNS, Level.PASS, "No run takes too long.")
    text = f"Runs that should have been ended after an hour go on: {_named(long, now)}."
    remedy = "Look at them in Dagster's UI under Runs, and terminate them there; their days are run again."
    return _sign(LONG_RUNS, Level.FAIL, text, remedy, "", DAEMONS)


def _sync_works(facts: Orchestration) -> bool:
    """Whether a run is writing: days requested meanwhile wait for its end."""
    return any(run.lane and run.status == "STARTED" for run in facts.runs)


def _named(runs: Sequence[UnfinishedRun], now: datetime) -> str:
    named = [f"{run.job} {run.run_id[:8]} ({run.status}, {_ago(run.since, now)})" for run in runs[:_NAMED]]
    return ", ".join(named) + (f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else "")


# ---- Our own records ----


def _records(facts: StoreFigures, pace: PollIntervals, now: datetime, *, working: bool) -> Iterator[VitalSign]:
    names = tuple(row.name for row in facts.systems)
    yield _requests(facts.requests, now, names, working=working)
    yield _deliveries(facts.deliveries, now, names)
    yield _sync(facts, now, names)
    for row in facts.systems:
        yield _system(row, pace, now)


def _requests(waiting: Backlog, now: datetime, systems: tuple[str, ...], *, working: bool) -> VitalSign:
    remedy = "Look in Dagster for failed runs of the job sync, and whether the sensor demand is on and ticks."
    follows = (*_RUNNER, QUEUE, *systems)
    if waiting.due_since and now - waiting.due_since > REQUEST_DUE_FOR and not working:
        text = f"Day requests that wait: {waiting.number}. Nothing has run them for {_ago(waiting.due_since, now)}."
        return _sign(REQUESTS, Level.FAIL, text, remedy, "", *follows)
    if waiting.asked_at and now - waiting.asked_at > REQUEST_OPEN_FOR:
        text = f"A day was queued {_ago(waiting.asked_at, now)} ago, and no run has synced it."
        return _sign(REQUESTS, Level.FAIL, text, remedy, "", *follows)
    text = f"Day requests that wait: {waiting.number}." if waiting.number else "No day request waits."
    return _sign(REQUESTS, Level.PASS, text)


def _deliveries(waiting: Backlog, now: datetime, systems: tuple[str, ...]) -> VitalSign:
    if waiting.due_since and now - waiting.due_since > DELIVERY_WAITS_FOR:
        text = f"Webhooks that wait: {waiting.number}, the oldest for {_ago(waiting.due_since, now)}."
        remedy = "See in Dagster whether the sensor demand is on, and what its ticks say."
        return _sign(DELIVERIES, Level.FAIL, text, remedy, "", *_RUNNER, *systems)
    text = f"Webhooks that wait: {waiting.number}." if waiting.number else "No webhook waits."
    return _sign(DELIVERIES, Level.PASS, text)


def _sync(facts: StoreFigures, now: datetime, systems: tuple[str, ...]) -> VitalSign:
    """The lag by the schedule: the last regular sync that was due must have carried out its day."""
    at, due = facts.synced_at, facts.catch_up_due
    follows = (*_RUNNER, QUEUE, *systems)
    if facts.schedule_problem:
        return _sign(SYNC, Level.FAIL, "The schedule catch_up cannot be read.", "", facts.schedule_problem)
    if at is None:
        text = "No sync has carried out its own day yet."
        return _sign(SYNC, Level.WARN, text, "Carry over a day: zk sync --from DAY")
    last = f"The last sync that carried out its own day ended {_ago(at, now)} ago."
    if due is not None and at < due:
        text = f"{last} The regular sync was due {_ago(due, now)} ago."
        remedy = (
            "See in Dagster whether the schedule catch_up is on and what its last run says; then: zk sync --from DAY"
        )
        return _sign(SYNC, Level.FAIL, text, remedy, facts.failure, *follows)
    if facts.failure:
        text = f"The newest run failed. {last}"
        return _sign(SYNC, Level.WARN, text, "Remove the cause, and run `zk sync` for its days.", facts.failure)
    return _sign(SYNC, Level.PASS, last if due is not None else f"{last} The regular sync is off.")


def _system(row: System, pace: PollIntervals, now: datetime) -> VitalSign:
    """As our own runs and sensors last found it; nothing is sent to check."""
    title = row.name.capitalize()
    if row.failing_since is not None:
        # A start in the future was written while our clock was wrong.
        is_new = timedelta(0) <= now - row.failing_since < AWAY_FOR and not row.refused
        asked = f"it was asked last {_ago(row.failed_at or row.failing_since, now)} ago"
        if row.refused:
            text = f"It has refused our token for {_ago(row.failing_since, now)}; {asked}."
            remedy = "Make a new API token there and store it: zk connectors set. Pending work then resumes."
        else:
            text = f"It has given no good answer for {_ago(row.failing_since, now)}; {asked}."
            remedy = "Check that it runs and can be reached from here: zk connectors test"
        return VitalSign(row.name, title, Level.WARN if is_new else Level.FAIL, text, remedy, row.problem)
    if row.read_at is None:
        return VitalSign(row.name, title, Level.WARN, "It was not read yet.", "Carry over a day: zk sync --from DAY")
    text = f"It was read {_ago(row.read_at, now)} ago."
    if row.read_at < now - UNREAD_AFTER - POLLS_TO_MISS * pace.polls[row.role]:
        text = f"It was not read with success for {_ago(row.read_at, now)}."
        remedy = "See in Dagster what the sensor demand and the last run of the job sync say."
        return VitalSign(row.name, title, Level.FAIL, text, remedy, follows=(*_RUNNER, QUEUE))
    return VitalSign(row.name, title, Level.PASS, text)


def _ago(at: datetime | None, now: datetime) -> str:
    return "ever" if at is None else duration_text(now - at)
