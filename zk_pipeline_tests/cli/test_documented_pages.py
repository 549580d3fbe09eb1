"""README.md and docs/: every command of a page is run on a month of the demo, or is named here with why it is not."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline.cli import output
from zk_pipeline.runtime.embedded_programs import program
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Start, Zk
from zk_pipeline_tests.documented import PAGES, VENV, Step, blocks, is_shown
from zk_pipeline_tests.observe.alerts.receiver import open_receiver
from zk_pipeline_tests.observe.doctor.conftest import kimai
from zk_sandbox.demo import KIMAI_TOKEN, demo_mappings_csv

pytestmark = pytest.mark.timeout(400)

OWN_TESTS = {"getting-started.md": "test_getting_started.py", "billing.md": "test_billing_page.py"}
"""Pages that tell a story from its beginning, with the test that walks along it."""

NOT_RUN = {
    r"git (clone|fetch|checkout)\b": "There is no remote repository here.",
    r"make (setup|test|test-fast|lint)\b": "CI runs them; they would run these very tests.",
    r"make demo\b": "It is `zk demo` in the environment of `make setup`; `zk demo` is run below.",
    r"(make dev|(\.venv/bin/)?zk up)\b": "They run until Ctrl-C; test_up.py starts and stops `zk up`.",
    r"make bench\b|\.venv/bin/python -m benchmarks\b": "They measure for minutes.",
    r"make chaos\b|\.venv/bin/python -m zk_pipeline_tests\.chaos\b": "chaos/test_chaos.py attacks with some seeds.",
    r"make people\b": "defs/test_people.py runs some seeds.",
    r"make walks\b": "web/console/test_clicks.py walks in English; the workflow runs all four walks.",
    r"make money\b": "defs/test_money.py runs some seeds.",
    r"docker\b": "There is no container engine here; deploy/test_files.py holds the files against the code.",
    r"(kubectl|helm)\b": "There is no cluster here; deploy/test_kubernetes.py holds the manifests against the code.",
    r"(certbot|install -d|install -m 600)\b": "It needs a public name; deploy/test_door.py has a certificate.",
    r"zk connectors (new|set)\b|cd zk-connector-|python -m (pip|pytest)\b": "test_new_connector.py goes this way.",
    r"DATABASE_OWNER_PASSWORD=\S+ .*roles\.sql": "store/test_roles.py runs it beside an embedded server.",
    r"psql -h\b": "store/test_embedded.py runs it beside an embedded server.",
    r"curl\b": "web/test_documented_requests.py sends them to a running web app.",
    r"export PATH\b": "It is for the reader's shell.",
    r"cd dbt_models\b": "It is for the reader's shell; the next command is run there.",
}
"""How commands begin that are not run, and why."""

BIN = Path(sys.executable).parent
PIPED = re.compile(r"(?:(?P<before>.+?) \| )?(?P<zk>zk [^|>]+?)(?: (?P<after>[|>] .+))?")
DAYS = ("--from", "2025-10-01", "--to", "2025-10-31")
NOBODY = {"ZK_DAGSTER_ADDRESS": "http://127.0.0.1:9"}  # Another Dagster of this machine is left alone.
ZAMMAD_NAMES = {
    "Remote-Support": "Remote support",
    "Vor-Ort-Einsatz": "On-site",
    "Hartmann Maschinenbau AG": "Hartmann AG",
    "paul.okafor@nordlicht-it.example": "paul@example.com",
    "anna.berger@nordlicht-it.example": "anna@example.com",
}
KIMAI_NAMES = {
    "Remote-Support": "Support",
    "Vor-Ort": "On-site work",
    "Consulting": "On-site work (flat rate)",
    "Wartung": "Support (flat rate)",
    "Nordlicht IT (intern)": "Internal",
}
"""What the pages call some things of the demo."""


def reason_not_to_run(step: Step) -> str:
    """Why a command is not run, or nothing."""
    return next((reason for start, reason in NOT_RUN.items() if re.match(start, step.command)), "")


@dataclass(frozen=True)
class Month:
    """A home in which the demo's month was synced twice, what that printed, and the systems' states afterwards."""

    home: Home
    printed: str
    zammad: dict[str, Any]
    kimai: dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """What a page finds: the synced month in a home of its own, both systems, and a folder with mappings.csv."""

    zk: Zk
    homes: Homes
    sandbox: Sandbox
    folder: Path

    def first(self, query: str) -> Any:
        """The first row that a query finds."""
        with self.zk.home.database() as database, database.transaction() as connection:
            return connection.execute(text(query)).first()

    def done(self, *arguments: str) -> str:
        """Run a command that the page takes for granted; what it printed."""
        result = self.zk(*arguments)
        assert result.exit_code in {0, 3}, result.output
        return result.stdout


@dataclass(frozen=True)
class Scene:
    """Where a command is run: its home, what is typed when it asks, settings, and whether it tells of a failure."""

    zk: Zk
    answer: str = "y\n"
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    fails: bool = False


def renamed(state: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The state of a system in which these whole values are others."""
    content = json.dumps(state, ensure_ascii=False)
    for old, new in names.items():
        content = content.replace(f'"{old}"', f'"{new}"')
    return json.loads(content)


@pytest.fixture(scope="module")
def month(homes: Homes, start: Start, tmp_path_factory: pytest.TempPathFactory) -> Month:
    home = homes.new()
    mappings = tmp_path_factory.mktemp("csv") / "mappings.csv"
    mappings.write_text(demo_mappings_csv())
    with start.systems() as systems, pytest.MonkeyPatch.context() as patch:
        for terminal in (output.out, output.err):
            patch.setattr(terminal, "_width", 200)
        zk = Zk(home)
        assert zk("mappings", "import", str(mappings)).exit_code == 0
        printed = [zk("sync", *DAYS).output for _ in range(2)]
        states = systems.zammad.state(), systems.kimai.state()
    return Month(home, "".join(printed), renamed(states[0], ZAMMAD_NAMES), renamed(states[1], KIMAI_NAMES))


@pytest.fixture
def desk(month: Month, homes: Homes, zk: Zk, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    sandbox.zammad.restore(month.zammad)
    sandbox.kimai.restore(month.kimai)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env.example").write_text((PROJECT / ".env.example").read_text())
    example, _exported = blocks(PROJECT / "docs" / "mappings.md", "csv")
    (tmp_path / "mappings.csv").write_text(example.text)
    return Desk(Zk(homes.new(like=month.home)), homes, sandbox, tmp_path)


def values_of_conflicts(desk: Desk) -> dict[str, str]:
    """Conflicts of the kinds that the page decides about; for one of them Paul's time sheet is deleted in Kimai."""
    desk.done("mappings", "set", "user", "paul@example.com", "p.okafor")
    of_paul = desk.first(
        "SELECT p.source_id, p.kimai_id, p.entry_date FROM sync.pushes p JOIN sync.normalized_entries e "
        "USING (source_id) WHERE p.state = 'confirmed' AND e.user_name = 'Paul Okafor' ORDER BY p.kimai_id"
    )
    url, headers = desk.zk.home.variables["ZK_KIMAI_URL"], {"authorization": f"Bearer {KIMAI_TOKEN}"}
    httpx.delete(f"{url}/api/timesheets/{of_paul.kimai_id}", headers=headers, trust_env=False).raise_for_status()
    desk.done("sync", "--from", str(of_paul.entry_date))
    waiting = "SELECT id, kimai_id FROM sync.conflicts WHERE resolution_status = 'open' AND reason = "
    duplicate, similar = desk.first(f"{waiting} 'duplicate'"), desk.first(f"{waiting} 'fuzzy_candidate'")
    correction = desk.first(f"{waiting} 'unmatched_correction'").id
    reducible = json.loads(desk.done("conflicts", "show", str(correction), "--json"))["bookings"][0]["booking_id"]
    values = {"17": duplicate.id, "18": similar.id, "4711": similar.kimai_id, "90210": of_paul.source_id}
    cause = json.loads(desk.done("conflicts", "list", "--json"))[0]["key"]
    values |= {"19": correction, "90207": reducible, "project_ended:7": cause}
    return {made_up: str(value) for made_up, value in values.items()}


def values_of_operations(desk: Desk) -> dict[str, str]:
    """A run that wrote a little, once a type was mapped, and a backup."""
    day = desk.first("SELECT entry_date FROM sync.conflicts WHERE reason = 'unmapped_activity'").entry_date
    desk.done("mappings", "set", "activity", "Anfahrt", "Support")
    run = json.loads(desk.done("sync", "--from", str(day), "--json"))["run_id"]
    backup = json.loads(desk.done("backup", "--to", str(desk.folder / "backups"), "--json"))["file"]
    return values_of_the_readme(desk) | {"3f9c2ab1": run[:8], "/mnt/backups/zk/zk-20251101T011500Z.zkbackup": backup}


def values_of_privacy(desk: Desk) -> dict[str, str]:
    """Nothing, but Anna's new address is read."""
    desk.done("sync", "--from", "2025-10-01")
    return {}


def values_of_marts(desk: Desk) -> dict[str, str]:
    """The server that listens on a socket instead of a port."""
    with desk.zk.home.database() as database:
        url = database.engine.url
    return {
        "PGHOST=localhost": f"PGHOST={url.query['host']} PGPORT={url.query['port']}",
        "PGUSER=zk": f"PGUSER={url.username}",
        "PGDATABASE=zk": f"PGDATABASE={url.database}",
    }


def values_of_the_readme(desk: Desk) -> dict[str, str]:
    """Two days instead of a month, which takes longer and was synced before."""
    del desk
    return {"2025-10-31": "2025-10-02"}


VALUES: dict[str, Callable[[Desk], dict[str, str]]] = {
    "README.md": values_of_the_readme,
    "conflicts.md": values_of_conflicts,
    "operations.md": values_of_operations,
    "privacy.md": values_of_privacy,
    "marts.md": values_of_marts,
}
"""What stands for the made-up values of a page."""


def before_the_doctor(desk: Desk) -> Scene:
    """A new installation where the agents book hours and Anna is in New York."""
    zammad = desk.sandbox.zammad.state()
    for row in zammad["state"]["accountings"]:
        row["time_unit"] = str(round(Decimal(row["time_unit"]) / 60, 2))
    desk.sandbox.zammad.restore(zammad)
    desk.sandbox.zammad.configure(unit="hour")
    (anna,) = [user for user in kimai(desk.zk.home, "GET", "/api/users", None) if user["username"] == "anna.berger"]
    kimai(desk.zk.home, "PATCH", f"/api/users/{anna['id']}", {"timezone": "America/New_York"})
    return Scene(Zk(desk.homes.new()))


def scene_of(step: Step, desk: Desk, receiver: str) -> Scene:
    """What a command finds: the page's home, unless it needs another one."""
    if step.command.startswith("zk doctor"):
        return before_the_doctor(desk)
    if step.command.startswith("zk restore"):
        replaces = "--replace" in step.command
        return Scene(Zk(desk.homes.new(like=desk.zk.home) if replaces else desk.homes.new(empty=True)))
    if step.command.startswith("zk users create"):
        return Scene(desk.zk, answer="a-long-enough-password\n" * 2)
    if step.command.startswith("zk alerts"):
        return Scene(desk.zk, variables={"ZK_ALERT_URLS": f"{receiver},mailt://ops@example.com"}, fails=True)
    return Scene(desk.zk)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in OWN_TESTS], ids=lambda page: page.name)
def test_every_command_of_a_page_prints_what_the_page_shows(page: Path, request: pytest.FixtureRequest):
    walked = [step for block in blocks(page, "console", "sh") for step in block.steps()]
    walked = [step for step in walked if not reason_not_to_run(step)]
    if page.name == "marts.md":
        walked.reverse()  # It shows the tables first, and at its end what builds them.
    if not walked:
        return
    desk: Desk = request.getfixturevalue("desk")
    values = VALUES.get(page.name, lambda _: {})(desk)
    with open_receiver() as receiver:
        for step in walked:
            scene = scene_of(step, desk, receiver.url)
            run_step(step.having(values), scene, desk)


def run_step(step: Step, scene: Scene, desk: Desk) -> None:
    if step.is_plain:
        step.run(scene.zk, answer=scene.answer, fails=scene.fails, **NOBODY, **scene.variables)
    elif piped := PIPED.fullmatch(step.command):
        run_piped(step, piped, scene, desk)
    else:
        folder = PROJECT / "dbt_models" if "dbt build" in step.command else desk.folder
        done = in_shell(step.command, desk, folder=folder)
        step.check(done.stdout, done.returncode)


def run_piped(step: Step, piped: re.Match[str], scene: Scene, desk: Desk) -> None:
    """Run what stands before and after `zk` in a shell, and `zk` itself in this process, which has imported it."""
    typed = in_shell(piped["before"], desk).stdout if piped["before"] else scene.answer
    result = scene.zk(*shlex.split(piped["zk"])[1:], answer=typed, **NOBODY)
    after = piped["after"] or ""
    if after.startswith("> "):
        (desk.folder / after.removeprefix("> ")).write_text(result.stdout)
    elif after and shutil.which(after.split()[1]):  # jq is not on every machine.
        done = in_shell(after.removeprefix("| "), desk, typed=result.stdout)
        assert done.stdout
        step.check(done.stdout, done.returncode)
        return
    step.check(result.output, result.exit_code, fails=scene.fails)


def in_shell(
    command: str, desk: Desk, *, folder: Path | None = None, typed: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a command with the settings of this home and what a reader's shell knows."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    tools = os.pathsep.join((str(BIN), str(program("psql").parent), others["PATH"]))
    known = {
        "PATH": tools,
        "ZK_DATABASE_URL": desk.zk.home.variables["ZK_DATABASE_URL"].replace("+psycopg", ""),
        "PASSWORD": "a-long-enough-password",
        "DBT_TARGET_PATH": str(desk.folder / "target"),
        "DBT_LOG_PATH": str(desk.folder / "logs"),
    }
    return subprocess.run(
        ["/bin/sh", "-euc", VENV.sub(f"{BIN}/", command)],
        cwd=folder or desk.folder,
        env={**others, **known},
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_demo_ends_as_the_readme_shows(month: Month):
    shown = next(block.text for block in blocks(PROJECT / "README.md", "text") if "Waiting for you" in block.text)
    lines = [line for line in shown.splitlines() if line != "The same month once more:"]
    assert is_shown(month.printed, tuple(lines)), month.printed


def sentences(words: str) -> Counter[str]:
    """How often each sentence is said; those of a word or two are no news."""
    found = re.split(r"(?<=[.!?])\s+", " ".join(words.split()))
    return Counter(sentence for sentence in found if len(sentence.split()) > 3)


def test_no_sentence_is_said_twice_about_the_same(month: Month, desk: Desk):
    waiting = json.loads(desk.zk("conflicts", "list", "--each", "--json").stdout)
    assert len(waiting) > 50
    planned = desk.zk("sync", "--plan", *DAYS).stdout
    told = [row["text"] for row in waiting]
    told += [planned.partition("Would be written")[0], desk.zk("statement", "2025-10", "--customer", "2").stdout]
    told += [desk.zk("status").stdout, desk.zk("doctor", **NOBODY).stdout, month.printed.partition("2025-10-01 to")[0]]
    repeated = [(sentence, text) for text in told for sentence, times in sentences(text).items() if times > 1]
    assert [sentence for sentence, _ in repeated] == []


@pytest.mark.parametrize("name", OWN_TESTS)
def test_what_a_reader_adapts_on_a_page_with_a_test_of_its_own_runs_too(name: str, desk: Desk):
    for step in (step for block in blocks(PROJECT / "docs" / name, "sh") for step in block.steps()):
        if not reason_not_to_run(step) and not step.is_plain:  # test_documented_commands.py knows `zk` and its options.
            run_step(step, Scene(desk.zk), desk)


def test_each_reason_not_to_run_a_command_has_its_command():
    commands = [step.command for page in PAGES for block in blocks(page, "console", "sh") for step in block.steps()]
    assert [start for start in NOT_RUN if not any(re.match(start, command) for command in commands)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_stand_in_fenced_blocks(page: Path):
    indented = re.findall(r"^ {4}(?:\$ |zk |curl |make |printf |docker ).*", page.read_text(), flags=re.MULTILINE)
    assert indented == []
