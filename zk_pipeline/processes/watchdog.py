"""The watchdog: outlives a killed supervisor, ends the processes that it left and, as its last user, the database.

It runs as `python -m zk_pipeline.processes.watchdog HOME [--embedded]` and waits for the end of its standard input,
which the supervisor holds open: the kernel closes that however the supervisor ends.
"""

import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from zk_pipeline.processes.groups import end_groups
from zk_pipeline.processes.home import SupervisorRecord
from zk_pipeline.runtime.embedded import embedded_server


def main() -> None:
    """Wait for the end of the supervisor, then end what it left."""
    home, *options = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with embedded_server(Path(home)) if "--embedded" in options else nullcontext():
        sys.stdin.buffer.read()
        end_groups(SupervisorRecord.of(Path(home)).groups)


if __name__ == "__main__":
    main()
