"""`zk demo`: a month of demo data, synced twice from a simulated Zammad into a simulated Kimai."""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from zk_pipeline.cli import up
from zk_pipeline.cli.output import UsageError, environment, explained, out, person, progress, said
from zk_pipeline.cli.report import headline, show_sync
from zk_pipeline.decisions import mappings
from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.runtime.environment import Environment
from zk_pipeline.runtime.settings import ENV_FILE, load_settings

if TYPE_CHECKING:
    from dagster import Definitions

ADMIN = "admin@demo.example"
DAYS, ZONE = 31, "Europe/Berlin"
SOON = timedelta(minutes=2)
"""By then the daemon runs."""

SETTINGS_FILE = "settings.env"
"""In the home of the demo: its settings, for other commands on it."""


def demo(
    *,
    ends: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day of the month; default: today.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Keep it running afterwards, with Dagster's UI.")] = False,
    port: Annotated[int, typer.Option(help="The port of Dagster's UI, with --serve.")] = 3000,
    web_port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the web app, with --serve.")] = 8000,
) -> None:
    """Sync a month of demo data twice; the second time nothing is left to write."""
    # These take a second to import, and no other command needs them.
    from zk_pipeline.cli.syncing import SyncFailedError, sync_days  # noqa: PLC0415

    last = (ends or datetime.now(ZoneInfo(ZONE))).date()
    first = last - timedelta(days=DAYS - 1)
    systems = _demo_environment(web_port, first, last)
    with explained(), systems, environment(starts=True) as ready, explained(SyncFailedError):
        out.print("[bold]A month of Nordlicht IT: bookings in Zammad, time sheets in Kimai.[/] Both are simulated.\n")
        mappings.import_content(ready.runtime, person(), _mappings().encode())
        from zk_pipeline.definitions import defs  # noqa: PLC0415 (looks into the home of the demo)

        job = defs.resolve_job_def("sync")
        done = sync_days(ready.runtime, job, first, last, notify=progress(quiet=True))
        show_sync(ready.runtime, done, planned_only=False)
        out.print("\n[bold]The same month once more:[/]")
        again = sync_days(ready.runtime, job, first, last, notify=progress(quiet=True))
        out.print(f"[bold]{said(headline(again, planned_only=False))}[/]", soft_wrap=True)
        zk = _shown(Path(sys.argv[0]).absolute())
        if not serve:
            out.print(f"\nTo open the console and Dagster's UI on it: [bold]{zk} demo --serve[/]", soft_wrap=True)
        listing = f"{ENV_FILE}={_shown(ready.home / SETTINGS_FILE)} {zk} conflicts list"
        out.print(f"To list what waits for you: [bold]{listing}[/]", soft_wrap=True)
        if serve:
            _run_jobs(defs, "marts", "watch")
            # The schedule that looks at all days has its first tick once everything runs.
            soon = datetime.now(ZoneInfo(ZONE)) + SOON
            ready.variables["ZK_DEEP_CHECK_CRON"] = f"{soon.minute} {soon.hour} * * *"
            up.serve(ready, port=port, embedded=True, sign_in=_first_sign_in(ready))


def _run_jobs(defs: "Definitions", *names: str) -> None:
    """Run jobs here, so that Dagster's pages show marts and checks from the first look on."""
    import dagster as dg  # noqa: PLC0415

    from zk_pipeline.cli.syncing import QUIET  # noqa: PLC0415

    with dg.DagsterInstance.get() as instance:
        for name in names:
            job = defs.resolve_job_def(name)
            job.execute_in_process(instance=instance, run_config=QUIET, raise_on_error=False)


def _first_sign_in(ready: Environment) -> str:
    """Create an admin; return their e-mail and password."""
    password = secrets.token_urlsafe(12)
    with ready.runtime.database.transaction() as connection:
        users.create(connection, person(), NewUser(ADMIN, Role.ADMIN, "Demo", password))
    return f"{ADMIN} / {password}"


def _shown(home: Path) -> Path:
    here = Path.cwd()
    return home.relative_to(here) if home.is_relative_to(here) else home


def _mappings() -> str:
    from zk_sandbox.demo import demo_mappings_csv  # noqa: PLC0415

    return demo_mappings_csv()


@contextmanager
def _demo_environment(web_port: int, first: date, last: date) -> Iterator[None]:
    """Point the settings at new simulated systems with the month of these days, and at a new home below ZK_HOME."""
    from zk_sandbox.server import SandboxProcess  # noqa: PLC0415

    home = load_settings().home.expanduser().resolve() / "demo"
    _remove(home)
    for name in [name for name in os.environ if name.startswith("ZK_")]:
        del os.environ[name]
    with SandboxProcess("demo", ends=last) as systems:
        settings = {
            "ZK_HOME": str(home),
            "ZK_TIMEZONE": ZONE,
            "ZK_START_DATE": first.isoformat(),
            "ZK_WEB_PORT": str(web_port),
            "ZK_ZAMMAD_URL": systems.zammad_url,
            "ZK_ZAMMAD_TOKEN": systems.zammad_token,
            "ZK_KIMAI_URL": systems.kimai_url,
            "ZK_KIMAI_TOKEN": systems.kimai_token,
            "ZK_WEBHOOK_SECRET": secrets.token_urlsafe(24),
        }
        home.mkdir(parents=True, exist_ok=True)
        (home / SETTINGS_FILE).touch(mode=0o600)
        (home / SETTINGS_FILE).write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        os.environ |= {ENV_FILE: os.devnull, **settings}
        yield


def _remove(home: Path) -> None:
    """Remove the data of an earlier demo, but not dbt's manifest. Raises `UsageError` while it is running."""
    if (home / "postgres" / "postmaster.pid").exists():
        raise UsageError(f"Stop the demo that runs on {home} first (Ctrl-C where it runs).")
    for path in home.glob("*"):
        if path.is_dir() and path.name != "dbt":
            shutil.rmtree(path, ignore_errors=True)
        elif not path.is_dir():
            path.unlink()
