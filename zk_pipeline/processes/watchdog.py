"""The watchdog: if the supervisor is killed, ends its processes and, as the last user, the database.

`python -m zk_pipeline.processes.watchdog HOME [--embedded]` waits for the end of its standard input, which the
supervisor holds open, and which the kernel closes however the supervisor ends.
"""

import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from zk_pipeline.processes.groups import end_groups
from zk_pipeline.processes.home import SupervisorRecord
from zk_pipeline.runtime.embedded import embedded_server


def main() -> None:
    """Wait for the end of the supervisor, then end its processes."""
    home, *options = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with embedded_server(Path(home), joins=True) if "--embedded" in options else nullcontext():
        sys.stdin.buffer.read()
        end_groups(SupervisorRecord.of(Path(home)).groups)


if __name__ == "__main__":
    main()
