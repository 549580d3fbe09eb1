"""The health check of a container: asks whether its process answers, and kills a process that has been silent too long.

Docker restarts a container that ends, and leaves one that is only unhealthy. The first process of our containers is
tini, which ends with its child; so killing the child restarts the container. Kubernetes counts failures itself.

    python -m zk_pipeline.processes.health_check http://127.0.0.1:8000/api/health
    python -m zk_pipeline.processes.health_check unix:/var/lib/zk/run/code.sock
    python -m zk_pipeline.processes.health_check daemon
    python -m zk_pipeline.processes.health_check heartbeats

Exit code 0: it works; 1: it does not. It is started every few seconds, so it imports only what it asks with. Nobody can
ask the daemon anything; ours notes every second that it is alive. Dagster's own, which Dagster's chart runs in
Kubernetes, does not, so there its heartbeats in the database are looked at.
"""

import argparse
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from tempfile import gettempdir
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

SECONDS_OF_SILENCE = 40.0
"""A process that does not answer for this long is killed and restarted."""

SECONDS_TO_START = 120.0
"""A process that has not answered yet has this long in addition."""

LONGEST_BEAT = timedelta(seconds=60)
"""A daemon sends a heartbeat every 30 seconds, the scheduler's every 60."""

DAEMON, DAEMON_LOOPS, CODE_SERVER = "daemon", "daemon-loops", "code-server"
"""What is alive: the daemon; all of its loops, which have come round once; and a code server that answers."""

_INIT = 1
_SECONDS_TO_ANSWER = 5.0
_MEMORY = Path(gettempdir()) / "zk-last-answer.json"


def main() -> None:
    """Check once, as the command line says."""
    parser = argparse.ArgumentParser(prog="health_check", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", help="a URL, unix:PATH or HOST:PORT of a code server, daemon, or heartbeats")
    parser.add_argument("--init", type=int, default=_INIT, help="the process that ends with its child (default: 1)")
    parser.add_argument("--memory", type=Path, default=_MEMORY, help="where the last answer is remembered")
    given = parser.parse_args()
    began = time.monotonic()
    answered_at, works = _ask(given.what)
    process = _child_to_kill(given.init)
    if process is not None and _is_silent(given.memory, process, began, answered_at):
        sys.stderr.write(f"{given.what} does not answer; its process is killed.\n")
        os.kill(process, signal.SIGKILL)
    sys.exit(0 if works else 1)


def serves(address: str) -> bool:
    """Whether a code server answers gRPC's health check, for which it needs one of its threads."""
    # Importing it takes a tenth of a second.
    import grpc  # noqa: PLC0415
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(address) as channel:
        asked = health_pb2.HealthCheckRequest(service="DagsterApi")
        try:
            health_pb2_grpc.HealthStub(channel).Check(  # pyright: ignore[reportAttributeAccessIssue] (generated)
                asked, timeout=_SECONDS_TO_ANSWER
            )
        except grpc.RpcError:
            return False
    return True


def beat(home: Path, what: str = DAEMON) -> None:
    """Note that the daemon of a home, or something else, is alive, as the time of a file: that works on a full disk,
    too.

    It is the time of the monotonic clock, which nobody sets and all processes share. Raises `OSError`.
    """
    path, now = _beat(home, what), time.monotonic()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(path, (now, now))


def last_beat(home: Path, what: str = DAEMON) -> float | None:
    """When the daemon of a home, or what else, was last alive, by the monotonic clock; `None` if nothing says so."""
    try:
        at = _beat(home, what).stat().st_mtime
    except OSError:
        return None
    return at if at <= time.monotonic() else None  # Otherwise it was before the machine was restarted.


def _beat(home: Path, what: str) -> Path:
    return home / "run" / f"{what}.beat"


def _ask(what: str) -> tuple[float | None, bool]:
    """When it answered, `None` if it did not, and whether that was a good answer."""
    if what == DAEMON:
        at = last_beat(Path(os.environ["ZK_HOME"]))
        return at, at is not None and time.monotonic() - at <= SECONDS_OF_SILENCE
    if what.startswith("http"):
        answers, works = ask_http(what)
    else:
        answers = works = _daemon_beats() if what == "heartbeats" else serves(what)
    return time.monotonic() if answers else None, works


def ask_http(url: str) -> tuple[bool, bool]:
    """Whether there is any answer, and whether it is a good one."""
    try:
        build_opener(ProxyHandler({})).open(url, timeout=_SECONDS_TO_ANSWER).close()
    except HTTPError:  # Such as 503, while the database is down.
        return True, False
    except (URLError, OSError, HTTPException):
        return False, False
    return True, True


def _daemon_beats() -> bool:
    """Whether each daemon that has ever sent a heartbeat still does; true if the database does not say."""
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from zk_pipeline.runtime.dagster_internals import heartbeats  # noqa: PLC0415

    url = os.environ.get("ZK_DAGSTER_URL")
    if not url:
        sys.stderr.write("Set ZK_DAGSTER_URL: without it nobody knows whether the daemon works.\n")
        return True
    engine = create_engine(url, connect_args={"connect_timeout": int(_SECONDS_TO_ANSWER)})
    try:
        with engine.connect() as connection:
            beats = heartbeats(connection)
    except SQLAlchemyError:
        return True
    finally:
        engine.dispose()
    known = [at for at in beats.values() if at is not None]
    return bool(known) and min(known) >= datetime.now(UTC) - LONGEST_BEAT


def _child_to_kill(init: int) -> int | None:
    """The oldest child of tini, `None` where something else is the first process and restarts nothing."""
    if _stat(init)[0] != "tini":
        return None
    processes = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return min((process for process in processes if _stat(process)[1] == str(init)), default=None)


def _is_silent(memory: Path, process: int, began: float, answered_at: float | None) -> bool:
    """Whether the process has not answered for too long, by what earlier checks have noted of it."""
    born = _stat(process)[2]
    try:
        known = json.loads(memory.read_text())
        is_known = known["born"] == born
        seen_at = float(known["seen_at"]) if is_known else began
        last = float(known["answered_at"]) if is_known and known["answered_at"] is not None else None
    except (OSError, ValueError, KeyError, TypeError):
        seen_at, last = began, None
    if answered_at is not None and answered_at >= seen_at:  # Otherwise an earlier process answered.
        last = answered_at
    memory.write_text(json.dumps({"born": born, "seen_at": seen_at, "answered_at": last}))
    return time.monotonic() - (seen_at + SECONDS_TO_START if last is None else last) > SECONDS_OF_SILENCE


def _stat(process: int) -> tuple[str, str, str]:
    """Name, parent and start of a process; empty if it has ended."""
    try:
        before, _, after = Path(f"/proc/{process}/stat").read_text().rpartition(")")
    except OSError:
        return "", "", ""
    fields = after.split()  # From the third on: state, parent, …; the start is the 22nd.
    return before.partition("(")[2], fields[1], f"{process}@{fields[19]}"


if __name__ == "__main__":
    main()
