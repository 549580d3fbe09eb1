"""The files of the deployment fit each other, the code and the tools that read them; no container engine is needed."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from zk_pipeline.billing.files.pdf_pages import MACHINE_FONTS
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.runtime.settings import Settings
from zk_pipeline_tests.deploy import proxy
from zk_pipeline_tests.deploy.network import free_ports
from zk_pipeline_tests.tools import missing

DEPLOY = PROJECT / "deploy"
COMPOSE_FILES = (PROJECT / "docker-compose.yml", DEPLOY / "real.compose.yml")
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
OURS = ("migrate", "code", "webserver", "daemon", "web", "sandbox")
SET_BY_COMPOSE = {
    "ZK_DATABASE_URL",
    "ZK_DATABASE_OWNER_URL",
    "ZK_DAGSTER_URL",
    "ZK_DAGSTER_ADDRESS",
    "ZK_DAGSTER_UI",
    "ZK_LOG_FORMAT",
    "ZK_WEB_HOST",
    "ZK_TRUSTED_PROXIES",
}
ENDS_BY_ITSELF = {"migrate", "zammad-init"}
WEB_PORT = Settings.model_fields["web_port"].default
SECRET_NAME = re.compile(r"PASSWORD|KEY|TOKEN|SECRET|PASS$")
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<rest>[^}]*)\}")


@cache
def services(file: Path = COMPOSE_FILES[0]) -> dict[str, dict[str, Any]]:
    return yaml.safe_load(file.read_text())["services"]


def all_services() -> list[Any]:
    return [
        pytest.param(service, id=f"{file.name}:{name}")
        for file in COMPOSE_FILES
        for name, service in services(file).items()
    ]


def program(command: list[str]) -> list[str]:
    """How this machine calls the program that a container would, without its options."""
    words = [word for word in command[1:] if re.fullmatch(r"[a-z][a-z-]+", word)]
    if command[0] == "python":
        return [sys.executable, "-m", command[2], *words]
    scripts = {point.name: point.value for point in entry_points(group="console_scripts")}
    module, _, function = scripts[command[0]].partition(":")
    start = f"import sys; sys.argv[0] = {command[0]!r}; from {module} import {function} as main; main()"
    return [sys.executable, "-c", start, *words[:2]]


def commands() -> list[Any]:
    """Each command and health check of ours that takes options."""
    checks = [service["healthcheck"]["test"][1:] for service in services().values() if "healthcheck" in service]
    called = [services()[name]["command"] for name in OURS] + [
        check for check in checks if check[0].startswith("dagster")
    ]
    return [
        pytest.param(one, id=" ".join(one)[:50]) for one in called if one != ["python", "-m", "zk_pipeline.web.server"]
    ]


@pytest.mark.parametrize("command", commands())
def test_each_command_is_known_with_all_its_options(command: list[str]):
    helped = subprocess.run(
        [*program(command), "--help"], env=clean_environment(), check=False, capture_output=True, text=True, timeout=120
    )
    assert helped.returncode == 0, helped.stderr
    start = 3 if command[:2] == ["python", "-m"] else 1
    options = {word for word in command[start:] if word.startswith("-")}
    assert {option for option in options if not re.search(rf"(?<!\w){option}\b", helped.stdout)} == set()


def test_each_module_that_a_command_names_exists():
    named = [word for name in OURS for word in services()[name]["command"] if word.startswith("zk_pipeline.")]
    assert len(named) >= 4
    assert [module for module in named if importlib.util.find_spec(module) is None] == []


def test_every_variable_of_ours_is_a_setting_or_the_workspaces():
    known = {f"ZK_{name.upper()}" for name in Settings.model_fields}
    known |= set(re.findall(r"env: (ZK_\w+)", (PROJECT / "workspace.yaml").read_text()))
    for file in (*COMPOSE_FILES, *(DEPLOY / "kubernetes").glob("*.yaml"), DEPLOY / "Dockerfile"):
        named = set(re.findall(r"\bZK_[A-Z_]+", file.read_text()))
        assert named <= known, file.name


@pytest.mark.parametrize("name", sorted({*OURS} - {"sandbox"}))
def test_every_setting_in_the_env_file_reaches_each_process_unless_compose_itself_sets_it(name: str):
    service = services()[name]
    assert service["env_file"] == [{"path": ".env", "required": False}]
    fixed = {key for key, value in service["environment"].items() if not re.match(rf"\$\{{{key}\b", str(value))}
    assert fixed & {f"ZK_{field.upper()}" for field in Settings.model_fields} <= SET_BY_COMPOSE


def test_the_image_has_a_font_that_statements_look_for():
    fonts = {str(path) for pair in MACHINE_FONTS for path in pair}
    assert "fonts-dejavu-core" in (DEPLOY / "Dockerfile").read_text()
    assert "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf" in fonts


def test_nothing_starts_without_its_secrets_and_says_which():
    text = COMPOSE_FILES[0].read_text()
    required = {found["name"] for found in VARIABLE.finditer(text) if found["rest"].startswith(":?")}
    passwords = {"POSTGRES_PASSWORD", "DATABASE_OWNER_PASSWORD", "DATABASE_PASSWORD"}
    assert required == {*passwords, "ZK_ENCRYPTION_KEY", "ZK_PUBLIC_URL"}


@pytest.mark.parametrize("file", COMPOSE_FILES, ids=lambda file: file.name)
def test_no_secret_has_a_default(file: Path):
    for found in VARIABLE.finditer(file.read_text()):
        if SECRET_NAME.search(found["name"]):
            assert found["rest"] in {"", ":-"} or found["rest"].startswith(":?"), found[0]
    for name, service in services(file).items():
        for key, value in (service.get("environment") or {}).items():
            hidden = not value or str(value).startswith("${")
            assert not SECRET_NAME.search(key) or hidden or key.startswith("MYSQL_RANDOM"), (
                name,
                key,
            )


@pytest.mark.parametrize("service", all_services())
def test_every_service_comes_back_after_a_crash(service: dict[str, Any]):
    command = (service.get("command") or [""])[-1]
    assert service["restart"] == ("on-failure" if command in ENDS_BY_ITSELF else "unless-stopped")


@pytest.mark.parametrize("name", services())
def test_the_logs_of_each_service_are_cut_off(name: str):
    logging = services()[name]["logging"]
    assert logging["driver"] == "json-file"
    assert set(logging["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", services())
def test_each_service_has_a_root_file_system_that_it_cannot_write(name: str):
    service = services()[name]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert "/tmp" in service["tmpfs"]


@pytest.mark.parametrize("name", services())
def test_each_service_is_nobody_special_and_has_its_limits(name: str):
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert 0 not in {int(number) for number in service["user"].split(":")}
    assert service["mem_limit"]
    assert service["pids_limit"] > 0


NETWORKS = {
    "proxy": {"outside", "door"},
    "web": {"door", "database", "default"},
    "webserver": {"door", "database"},
    "daemon": {"database"},
    "code": {"database", "default"},
    "migrate": {"database", "default"},
    "postgres": {"database"},
    "sandbox": {"default"},
}


def test_networks_part_the_door_the_application_dagster_and_the_databases():
    assert {name: set(service["networks"]) for name, service in services().items()} == NETWORKS
    known = yaml.safe_load(COMPOSE_FILES[0].read_text())["networks"]
    assert {name for name, network in known.items() if network.get("internal")} == {"door", "database"}
    assert set().union(*NETWORKS.values()) == set(known)
    # What is tried beside us comes into none of ours.
    assert [name for name, service in services(COMPOSE_FILES[1]).items() if "networks" in service] == []


def test_the_superuser_and_the_owner_of_the_database_are_kept_from_what_works():
    for name in {*OURS} - {"migrate", "sandbox"}:
        given = services()[name]["environment"]
        assert "zk_app:" in given["ZK_DATABASE_URL"]
        assert "zk_app:" in given["ZK_DAGSTER_URL"]
        withheld = ("ZK_DATABASE_OWNER_URL", "DATABASE_OWNER_PASSWORD", "DATABASE_PASSWORD", "POSTGRES_PASSWORD")
        assert {given[variable] for variable in withheld} == {""}
    migrates = services()["migrate"]["environment"]
    assert "zk_owner:" in migrates["ZK_DATABASE_OWNER_URL"]
    assert migrates["POSTGRES_PASSWORD"] == ""
    database = services()["postgres"]
    assert "./deploy/database:/docker-entrypoint-initdb.d:ro" in database["volumes"]
    assert set(re.findall(r"getenv \w+ (\w+)", (DEPLOY / "database" / "roles.sql").read_text())) < set(
        database["environment"]
    )


@pytest.mark.parametrize("name", sorted({*services()} - {"migrate", "sandbox"}))
def test_each_service_that_stays_tells_its_health(name: str):
    check = services()[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert check["interval"]
    if name in OURS:  # Docker restarts what ends, not what hangs.
        assert check["test"][1:4] == ["python", "-m", "zk_pipeline.processes.health_check"]


def test_services_wait_for_services_that_exist_and_can_tell():
    for name, service in services().items():
        for other, wanted in service.get("depends_on", {}).items():
            condition = wanted["condition"]
            if condition == "service_healthy":
                assert "healthcheck" in services()[other], (name, other)
            else:
                assert condition == "service_completed_successfully"
                assert services()[other]["restart"] == "on-failure", (name, other)


@pytest.mark.parametrize("file", COMPOSE_FILES, ids=lambda file: file.name)
def test_what_must_outlive_a_container_is_in_named_volumes(file: Path):
    volumes = set(yaml.safe_load(file.read_text())["volumes"])
    mounted = {mount.partition(":")[0] for service in services(file).values() for mount in service.get("volumes", [])}
    assert {name for name in mounted if not name.startswith((".", "$"))} == volumes


def test_the_door_alone_has_ports_outside():
    assert {name for name, service in services().items() if "ports" in service} == {"proxy"}


def test_the_door_asks_where_the_services_listen():
    environment = services()["proxy"]["environment"]
    asked = {environment[name] for name in ("WEB", "DAGSTER")}
    assert asked == {f"web:{WEB_PORT}", f"webserver:{option(services()['webserver']['command'], '--port')}"}
    assert set(re.findall(r"\$\{(\w+)\}", proxy.TEMPLATE.read_text())) == set(environment)


def test_no_web_server_of_dagsters_runs_bare():
    commands = {name: service.get("command", []) for name, service in services().items()}
    assert commands["webserver"][:3] == ["python", "-m", "zk_pipeline.web.dagster_ui.server"]
    assert [name for name, command in commands.items() if "dagster-webserver" in str(command)] == []


@pytest.mark.parametrize("name", ["web", "webserver"])
def test_the_doors_address_is_the_proxy_that_is_trusted(name: str):
    trusted = services()[name]["environment"]["ZK_TRUSTED_PROXIES"]
    assert trusted == f"{services()['proxy']['networks']['door']['ipv4_address']}/32"


def test_the_code_server_listens_where_the_workspace_looks():
    path = option(services()["code"]["command"], "--socket")
    for name in ("code", "daemon", "webserver"):
        assert services()[name]["environment"]["ZK_CODE_SOCKET"] == path
        assert "home:/var/lib/zk" in services()[name]["volumes"]
    assert Path(path).is_relative_to("/var/lib/zk")
    assert "ports" not in services()["code"]


def test_the_sandbox_gets_no_secret():
    sandbox = services()["sandbox"]
    assert (sandbox["env_file"], sandbox["environment"], sandbox["volumes"]) == ([], {}, [])


def test_compose_itself_accepts_the_files(tmp_path: Path):
    if shutil.which("docker") is None or docker("compose", "version").returncode != 0:
        pytest.skip("There is no `docker compose` on this machine.")
    passwords = ("POSTGRES_PASSWORD", "DATABASE_OWNER_PASSWORD", "DATABASE_PASSWORD", "ZK_ENCRYPTION_KEY")
    given = {**dict.fromkeys(passwords, "x"), "ZK_PUBLIC_URL": "https://zk.example.com"}
    accepted = docker("compose", "--profile", "*", "config", "--quiet", **given)
    assert accepted.returncode == 0, accepted.stderr
    del given["ZK_ENCRYPTION_KEY"]
    refused = docker("compose", "config", "--quiet", **given)
    assert refused.returncode != 0
    assert "ZK_ENCRYPTION_KEY" in refused.stderr


def test_the_image_is_built_as_the_linter_wants_it():
    linter = Path(sys.executable).with_name("hadolint")
    told = subprocess.run([linter, DEPLOY / "Dockerfile"], check=False, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stdout


def test_the_image_holds_what_it_copies_and_runs_as_nobody_special():
    text = (DEPLOY / "Dockerfile").read_text()
    kept = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert {name for line in copied for name in line.split()} == kept
    assert [name for name in kept if not (PROJECT / name).exists()] == []
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001"]


def test_the_image_has_no_tool_for_development():
    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    builders = {"hatchling", "setuptools", "zk-pipeline[kubernetes,tracing]"}
    names = {re.split(r"[<>=]", tool)[0] for tool in tools} - builders
    removed = re.search(r"pip uninstall -y ((?:[\w-]+|\\\n|\s)+)", (DEPLOY / "Dockerfile").read_text())
    assert removed is not None
    assert set(removed[1].replace("\\", " ").split()) >= names


def test_the_definitions_load_where_nothing_can_be_written(tmp_path: Path):
    for name in ("zk_pipeline", "dbt_models"):
        leave_out = shutil.ignore_patterns("__pycache__", "target", "logs")
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=leave_out)
    made = dict(re.findall(r"(python -m (zk_pipeline\.\S+))", (DEPLOY / "Dockerfile").read_text()))
    variables = {**clean_environment(), "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    for module in made.values():
        subprocess.run([sys.executable, "-m", module], cwd=tmp_path, env=variables, check=True, timeout=120)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    loaded = subprocess.run(
        [*without_privileges(), sys.executable, "-c", "import zk_pipeline.definitions, zk_pipeline.web.server"],
        cwd=tmp_path,
        env=variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_the_workflows_call_targets_and_files_that_exist(file: Path):
    jobs = yaml.safe_load(file.read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    called = {name for step in steps for name in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert called <= targets
    named = [step["with"]["file"] for step in steps if "file" in step.get("with", {})]
    assert [name for name in named if not (PROJECT / name).exists()] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_only_what_publishes_a_release_may_write_and_it_takes_nobody_elses_actions(file: Path):
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        if "permissions" not in job:
            continue
        assert "refs/tags/" in job["if"]
        assert [step["uses"] for step in job["steps"] if not step.get("uses", "actions/").startswith("actions/")] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_each_action_is_named_by_its_commit_and_its_version(file: Path):
    used = re.findall(r"uses: (.+)", file.read_text())
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


UNKNOWN_DIGESTS = {"zammad/zammad:6.5", "kimai/kimai2:apache-2.65.0"}
"""Of systems that are only tried out, whose digests nobody could look up yet."""


def test_each_image_of_others_is_named_by_its_digest():
    texts = [path.read_text() for path in (*COMPOSE_FILES, *(DEPLOY / "kubernetes").glob("*.yaml"))]
    named = {image for text in texts for image in re.findall(r"^\s*image: (?:\$\{\w+:-)?([^\s}]+)", text, re.MULTILINE)}
    named |= set(re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    others = {image for image in named if not image.startswith("zk_pipeline:")}
    assert {image for image in others if not re.search(r"@sha256:[0-9a-f]{64}$", image)} == UNKNOWN_DIGESTS


def test_missing_programs_fail_in_ci_and_are_skipped_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser"):
        missing("There is no browser.")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no browser"):
        missing("There is no browser.")
    assert "export CI=true" in (PROJECT / ".ci" / "run").read_text()


def test_the_proxy_accepts_the_template(tmp_path: Path):
    ports: dict[str, int] = dict(zip(("web", "dagster", "http", "https"), free_ports(4), strict=True))
    proxy.configure(tmp_path, ports)
    told = subprocess.run([*proxy.command(tmp_path), "-t"], check=False, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr


def test_the_logs_of_the_proxy_have_no_query_and_no_page_that_somebody_came_from(tmp_path: Path):
    ports: dict[str, int] = dict(zip(("web", "dagster", "http", "https"), free_ports(4), strict=True))
    secret = "the-code-of-a-sign-in"
    with proxy.proxy(tmp_path, ports) as trust:
        for url, status in ((f"https://127.0.0.1:{ports['https']}", 502), (f"http://127.0.0.1:{ports['http']}", 308)):
            told = {"referer": f"{url}/audit?text={secret}"}
            with httpx.Client(base_url=url, verify=trust, headers=told, timeout=120, trust_env=False) as client:
                # Nothing listens behind the proxy, which nginx tells in its log of errors.
                assert client.get("/sign-in/oidc/callback", params={"code": secret}).status_code == status
    logged = (tmp_path / proxy.ACCESS_LOG).read_text()
    assert re.findall(r"GET (\S+) (\d+)", logged) == [
        ("/sign-in/oidc/callback", "502"),
        ("/sign-in/oidc/callback", "308"),
    ]
    assert secret not in logged + "".join(path.read_text() for path in tmp_path.glob("*.log"))


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    return {**kept, "ZK_ENV_FILE": os.devnull, "COLUMNS": "200"}


def without_privileges() -> list[str]:
    """What takes root's privileges away, as compose does, so that a closed directory is closed to root too."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def docker(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    command = ["docker", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, check=False, capture_output=True, text=True, timeout=120
    )
