"""What `zk up` becomes once all is prepared: `python -m zk_pipeline.processes.up JSON` keeps everything running.

A command has imported a hundred megabytes when it has prepared the environment, and needs none of it for the months in
which it only looks after its processes. So this module, and all that it imports, is light.
"""

import json
import os
import signal
import socket
import sys
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

from zk_pipeline.processes.home import SupervisorError, hold_home
from zk_pipeline.processes.programs import HOST, code_socket, free_port, managed_processes, reachable_url
from zk_pipeline.processes.supervisor import STOP_SIGNALS, Supervisor, SupervisorListener
from zk_pipeline.runtime.embedded import EmbeddedDatabase, EmbeddedServerError, embedded_server
from zk_pipeline.runtime.logs import LogFormat

_PLAIN, _BOLD, _DIM, _GREEN, _RED = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[1;31m"


@dataclass(frozen=True, slots=True)
class Installation:
    """What is to be kept running. `sign_in` is shown with the addresses, `verbose` shows the output of the processes.

    `variables` are those of the prepared environment; they hold secrets.
    """

    home: str
    port: int
    web_host: str
    web_port: int
    log_format: str
    language: str
    embedded: bool
    verbose: bool = False
    sign_in: str = ""
    variables: dict[str, str] = field(default_factory=dict, repr=False)


def become(installation: Installation) -> NoReturn:
    """Go on as a process that does nothing but `run`, with the number of this one; the environment is prepared.

    Nobody holds the embedded database until it has begun, so a signal to stop waits until then.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    sys.stdout.flush()
    os.environ.update(installation.variables)
    # Everybody can read a command line; the variables are inherited.
    shown = asdict(installation) | {"variables": dict.fromkeys(installation.variables, "")}
    os.execv(sys.executable, (sys.executable, "-m", __name__, json.dumps(shown)))  # noqa: S606 - our own command


def run(installation: Installation) -> None:
    """Run all processes, and watch the embedded database, until a signal. Raises `SupervisorError`."""
    home, words = Path(installation.home), Terminal(installation.language)
    address, web_url = (
        reachable_url(HOST, installation.port),
        reachable_url(installation.web_host, installation.web_port),
    )
    with hold_home(home, address) as held:
        words.dim(f"Starting. The logs are in {home / 'logs'}.")
        with (
            free_port(HOST, installation.port, "--port or ZK_PORT"),
            free_port(installation.web_host, installation.web_port, "ZK_WEB_PORT"),
        ):
            pass  # Held together, to notice one port used for both.

        def started() -> None:
            words.addresses(address, web_url, installation.sign_in)
            _notify_service_manager("READY=1")

        stopping = partial(_notify_service_manager, "STOPPING=1")
        echo = words.echo if installation.verbose else None
        listener = SupervisorListener(words.dim, words.part, started, stopping, echo)
        watchdog = [sys.executable, "-m", "zk_pipeline.processes.watchdog", str(home)]
        log_format = LogFormat(installation.log_format)
        with code_socket(home) as code:
            supervisor = Supervisor(
                held,
                listener,
                watchdog=[*watchdog, *(["--embedded"] if installation.embedded else [])],
                database=EmbeddedDatabase(home) if installation.embedded else None,
                preloads=True,
            )
            supervisor.run(managed_processes(installation.variables, code, installation.port, web_url, log_format))


class Terminal:
    """Prints the sentences of a supervisor, in colour on a terminal."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def said(self, sentence: str) -> str:
        """A sentence in the language of ZK_LANGUAGE."""
        if self._language == "en":
            return sentence
        # Its catalogs take more memory than all else here.
        from zk_pipeline.languages import Language, translated  # noqa: PLC0415

        return translated(sentence, Language(self._language))

    def dim(self, sentence: str) -> None:
        """A note on the way."""
        self._write(self._styled(_DIM, self.said(sentence)))

    def part(self, name: str, seconds: float) -> None:
        """What has started."""
        self._write(self.said(f"{self._styled(_GREEN, 'ok')}  {name:<12} {seconds:5.1f} s"))

    def addresses(self, dagster: str, web: str, sign_in: str) -> None:
        """Where everything is."""
        self._marked(f"\nWeb app:      [bold]{web}[/]\nDagster's UI: [bold]{dagster}[/]")
        if sign_in:
            self._marked(f"Sign in as:   [bold]{sign_in}[/]")
        self._write(self.said("One sign-in opens both. Press Ctrl-C to stop."))

    def echo(self, name: str, line: str) -> None:
        """A line that a process has written."""
        self._write(f"{self._styled(_DIM, f'{name:<12}')} {self.said(line)}")

    def error(self, sentence: str) -> None:
        """Why it cannot go on."""
        sys.stderr.write(f"{self._styled(_RED, self.said('Error:'))} {self.said(sentence)}\n")

    def _marked(self, text: str) -> None:
        shown = self.said(text)
        for mark, style in (("[bold]", _BOLD), ("[/]", _PLAIN)):
            shown = shown.replace(mark, style if self._coloured else "")
        self._write(shown)

    def _styled(self, style: str, text: str) -> str:
        return f"{style}{text}{_PLAIN}" if self._coloured else text

    @staticmethod
    def _write(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _notify_service_manager(state: str) -> None:
    """Report a state such as `READY=1` to systemd, if it started us as a unit of `Type=notify`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, suppress(OSError):
        notify.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        notify.sendall(state.encode())


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise SystemExit(128 + number)


def main() -> None:
    """Keep the installation of the command line running."""
    given = json.loads(sys.argv[1])
    installation = Installation(**given | {"variables": {name: os.environ[name] for name in given["variables"]}})
    words = Terminal(installation.language)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _terminate)
    try:
        with embedded_server(Path(installation.home), joins=True) if installation.embedded else nullcontext():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            run(installation)
    except (SupervisorError, EmbeddedServerError) as error:
        words.error(str(error))
        sys.exit(1)
    sys.stdout.write(words.said("Stopped. Nothing is running any more.") + "\n")


if __name__ == "__main__":
    main()
