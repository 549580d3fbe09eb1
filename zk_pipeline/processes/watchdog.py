"""The watchdog: if the supervisor is killed, ends its processes and, as the last user, the database.

`python -m zk_pipeline.processes.watchdog HOME [--embedded]` waits for the end of its standard input, which the
supervisor holds open, and which the kernel closes however the supervisor ends. What it needs then, it imports then: it
waits for months.
"""

import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from zk_pipeline.store.files import lock_file, share


def main() -> None:
    """Wait for the end of the supervisor, then end its processes."""
    home, embedded = Path(sys.argv[1]), "--embedded" in sys.argv[2:]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with lock_file(home / "postgres.users.lock") if embedded else nullcontext() as users:
        if users is not None:
            share(users)
        sys.stdin.buffer.read()
        from zk_pipeline.processes.groups import end_groups  # noqa: PLC0415
        from zk_pipeline.processes.home import SupervisorRecord  # noqa: PLC0415

        end_groups(SupervisorRecord.of(home).groups)
    if embedded:
        from zk_pipeline.runtime.embedded import stop_unless_used  # noqa: PLC0415

        stop_unless_used(home)


if __name__ == "__main__":
    main()
