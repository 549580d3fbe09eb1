"""Attacks from the machine itself: another account, what lies open in files, and settings that guard nothing."""

import os
import pwd
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.settings import ENV_FILE
from zk_pipeline.store.encryption import generate_key
from zk_pipeline_tests.attack.book import Try, answered, attack
from zk_pipeline_tests.attack.place import Place
from zk_pipeline_tests.cli.test_up import processes_of
from zk_pipeline_tests.web.api.test_connectors import NEW
from zk_pipeline_tests.web.api.test_connectors import PATH as CONNECTORS

PLUG_IN = "'redmine' of the package zk-broken 1.2 cannot be used"
STORED = "SELECT string_agg(name || base_url || token_encrypted, ' ' ORDER BY id) FROM sync.connectors"


def as_another_account(act: Callable[[], None]) -> str:
    """What becomes of an act that another account of the machine does: `done`, or the error that it meets.

    Only root can be somebody else; for everybody else it is said so.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = "done"
        try:
            nobody = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            act()
        except OSError as error:
            told = type(error).__name__
        finally:
            os.write(writing, told.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


def is_root() -> bool:
    return os.geteuid() == 0


def others_may_reach(path: Path, mode: int) -> bool:
    """Whether accounts that own nothing of it have this right to a path, and may pass all folders above."""
    folders = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    return folders and bool(path.lstat().st_mode & mode)


@attack("Another account of the machine opens the sockets inside")
def sockets_inside(place: Place) -> Iterator[Try]:
    """The code server and PostgreSQL ask nobody who they are."""
    code = next(iter(place.site.home.rglob("*.sock")))
    database = Path(str(place.site.database.engine.url.query["host"]))
    found = [code, *database.glob(".s.PGSQL.*[0-9]")]
    yield Try("a look for the sockets", f"{len(found)} sockets", held=len(found) == 2)
    for path in found:

        def opened(path: Path = path) -> None:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))

        told = as_another_account(opened) if is_root() else "closed by its mode"
        closed = told == "PermissionError" if is_root() else not others_may_reach(path, stat.S_IWOTH)
        yield Try(f"connect to {path.name}", told, held=closed)


@attack("Another account asks the ports, which are open to the whole machine")
def ports(place: Place) -> Iterator[Try]:
    listening = {urlsplit(url).port for url in (place.up.url, place.up.web_url)}
    pids = set(processes_of(place.site.home))
    others = sorted(port for port in _ports_of(pids) if port not in listening)
    yield Try("other ports of the processes", ", ".join(map(str, others)) or "none", held=not others)
    yield answered("POST /graphql", place.client(dagster=True).post("/graphql", json={"query": "{ version }"}), 401)
    yield answered("GET /api/v1/connectors", place.client().get(CONNECTORS), 401)


def _ports_of(pids: set[int]) -> set[int]:
    """The TCP ports at which these processes listen, as the system lists them."""
    inodes: set[str] = set()
    for pid in pids:
        try:
            links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue  # It has ended meanwhile.
        inodes |= {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:")}
    ports: set[int] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = [line.split() for line in table.read_text().splitlines()[1:]] if table.exists() else []
        ports |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes}
    return ports


@attack("Another account reads keys, data, logs or exports on the disk")
def open_files(place: Place) -> Iterator[Try]:
    place.zk("audit", "export", str(place.site.home / "trail.csv"), "--format", "csv")
    files = [path for path in place.site.home.rglob("*") if path.is_file() and not path.is_symlink()]
    readable = [path for path in files if others_may_reach(path, stat.S_IROTH)]
    shown = ", ".join(str(path.relative_to(place.site.home)) for path in readable[:3])
    yield Try(f"open each of {len(files)} files", f"{len(readable)} can be read {shown}".strip(), held=not readable)


@attack("Secrets stand in command lines or logs")
def secrets_shown(place: Place) -> Iterator[Try]:
    secrets = {
        "the key": place.up.secret_key,
        "Kimai's token": place.site.variables["ZK_KIMAI_TOKEN"],
        "Zammad's token": place.site.variables["ZK_ZAMMAD_TOKEN"],
        "the webhook's secret": place.site.variables["ZK_WEBHOOK_SECRET"],
        "an API token": place.tokens[Role.ADMIN],
    }
    commands = " ".join(processes_of(place.site.home).values())
    logs = "".join(path.read_text(errors="replace") for path in (place.site.home / "logs").rglob("*.log*"))
    for name, secret in secrets.items():
        places = [where for where, told in (("commands", commands), ("logs", logs)) if secret in told]
        yield Try(name, f"in {', '.join(places)}" if places else "nowhere", held=not places)


@attack("A mistyped setting guards nothing")
def mistyped(place: Place) -> Iterator[Try]:
    for wrong, right in (("ZK_LOCKED_BEFOR", "ZK_LOCKED_BEFORE"), ("ZK_PUSH_MODUS", "ZK_PUSH_MODE")):
        done = place.zk("status", **{wrong: "x"})
        told = f"exit {done.exit_code}, names {right}" if right in done.stderr else f"exit {done.exit_code}"
        yield Try(f"{wrong} zk status", told, held=done.exit_code == 1 and right in done.stderr)


@attack("An .env lies open to everybody, and nobody says so")
def open_env_file(place: Place) -> Iterator[Try]:
    file = place.folder / "open.env"
    file.write_text("ZK_ALERT_AFTER=1\n")
    file.chmod(0o644)
    done = place.zk("status", **{ENV_FILE: str(file)})
    yield Try(
        "zk status with mode 644", "told" if str(file) in done.stderr else "not told", held=str(file) in done.stderr
    )


@attack("A command that reads stores another's credentials")
def reading_stores(place: Place) -> Iterator[Try]:
    before = place.site.value(STORED)
    for sent, variables in (
        ("another token", {"ZK_KIMAI_TOKEN": "another"}),
        ("another address", {"ZK_KIMAI_URL": "http://127.0.0.1:9"}),
        ("another key", {"ZK_ENCRYPTION_KEY": generate_key()}),
    ):
        for command in (("status",), ("conflicts", "list"), ("doctor",)) if sent == "another key" else (("status",),):
            done = place.zk(*command, **variables)
            same = place.site.value(STORED) == before
            told = f"exit {done.exit_code}, {'unchanged' if same else 'overwritten'}"
            yield Try(f"zk {' '.join(command)} with {sent}", told, held=same)


@attack("A broken plug-in stops the installation")
def broken_plug_in(place: Place) -> Iterator[Try]:
    """It was there when everything started."""
    yield answered("GET /api/health", place.client().get("/api/health"), 200)
    answer = place.client(Role.ADMIN).post(CONNECTORS, json={**NEW, "kind": "redmine"})
    yield Try("a connector of it", f"{answer.status_code}, named", held=PLUG_IN in answer.text)
