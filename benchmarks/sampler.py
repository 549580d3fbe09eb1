"""Where the time of a piece of work goes, by looking at its threads every few milliseconds."""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType

import zk_pipeline

INTERVAL = 0.002
SWITCH_INTERVAL = 0.0002
"""Seconds until a busy thread lets the sampler look: a tenth of its interval, so that waiting is not overrated."""

OURS = str(Path(zk_pipeline.__file__).parent)
_PUSHING = "push"


class Place(StrEnum):
    """What somebody is busy with, or waits for."""

    DAGSTER = "Dagster"
    DAGSTER_DATABASE = "Dagster, waiting for its database"
    OURS = "our code"
    OUR_DATABASE = "our code, waiting for its database"
    SYSTEMS = "waiting for Zammad and Kimai"


@contextmanager
def sampled() -> Iterator[dict[Place, float]]:
    """Seconds of the calling thread within the block by place."""
    seconds: dict[Place, float] = defaultdict(float)
    watched, done = threading.get_ident(), threading.Event()

    def look() -> None:
        last = time.perf_counter()
        while not done.wait(INTERVAL):
            frames = sys._current_frames()  # noqa: SLF001 (the documented way to see other threads)
            now = time.perf_counter()
            seconds[_place(watched, frames)] += now - last
            last = now

    before = sys.getswitchinterval()
    sampler = threading.Thread(target=look)
    sys.setswitchinterval(SWITCH_INTERVAL)
    sampler.start()
    try:
        yield seconds
    finally:
        done.set()
        sampler.join()
        sys.setswitchinterval(before)


def _place(watched: int, frames: dict[int, FrameType]) -> Place:
    frame = frames[watched]
    if not _waits_for_senders(frame):
        return _place_of(frame)
    senders = [thread.ident for thread in threading.enumerate() if thread.name.startswith(_PUSHING)]
    places = {_place_of(frames[ident]) for ident in senders if ident in frames and not _idles(frames[ident])}
    return Place.OURS if Place.OURS in places else Place.SYSTEMS


def _place_of(frame: FrameType) -> Place:
    if "/httpcore/_backends/" in frame.f_code.co_filename or frame.f_code.co_filename.endswith("/socket.py"):
        return Place.SYSTEMS
    for_database = _waits_for_database(frame)
    if _is_dagster(frame):
        return Place.DAGSTER_DATABASE if for_database else Place.DAGSTER
    return Place.OUR_DATABASE if for_database else Place.OURS


def _is_dagster(frame: FrameType | None) -> bool:
    """Whether Dagster is nearer to what is done than we are."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            return False
        if "/site-packages/dagster" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def _waits_for_database(frame: FrameType) -> bool:
    """psycopg waits in a function of that name, psycopg2 (Dagster's driver) right below SQLAlchemy's."""
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    if "/psycopg/" in file:
        return name == "wait"
    return "/psycopg2/" in file or (file.endswith("/sqlalchemy/engine/default.py") and name.startswith("do_"))


def _waits_for_senders(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_filename.startswith(OURS):
        if frame.f_code.co_filename.endswith("/concurrent/futures/_base.py"):
            return True
        frame = frame.f_back
    return False


def _idles(frame: FrameType) -> bool:
    """Whether a thread of a pool has nothing to do."""
    return frame.f_code.co_filename.endswith("/concurrent/futures/thread.py")
