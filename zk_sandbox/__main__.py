"""Both sandbox servers as one process: prints their URLs and tokens, and ends when its standard input closes."""

import argparse
import json
import signal
import sys
from datetime import date

from zk_sandbox.control import with_control
from zk_sandbox.demo import KIMAI_TOKEN, ZAMMAD_TOKEN, demo_systems, empty_systems
from zk_sandbox.demo.month import OCTOBER_ENDS
from zk_sandbox.server import HOST, ServerThread


def main() -> None:
    """Serve until standard input closes or a SIGTERM arrives."""
    parser = argparse.ArgumentParser(prog="python -m zk_sandbox", description=__doc__)
    parser.add_argument("--data", choices=("empty", "demo"), default="demo")
    parser.add_argument(
        "--ends", type=date.fromisoformat, default=OCTOBER_ENDS, help="the last day of the demo's month"
    )
    parser.add_argument("--host", default=HOST, help="0.0.0.0 serves other machines too")
    parser.add_argument("--zammad-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--kimai-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to every request")
    options = parser.parse_args()
    zammad, kimai = empty_systems() if options.data == "empty" else demo_systems(options.ends)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Ctrl-C goes to the whole terminal; the process that started us ends us when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with (
        ServerThread(with_control(zammad, latency=options.latency), options.zammad_port, options.host) as zammad_server,
        ServerThread(with_control(kimai, latency=options.latency), options.kimai_port, options.host) as kimai_server,
    ):
        access = {
            "zammad_url": zammad_server.url,
            "zammad_token": ZAMMAD_TOKEN,
            "kimai_url": kimai_server.url,
            "kimai_token": KIMAI_TOKEN,
        }
        sys.stdout.write(json.dumps(access) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
