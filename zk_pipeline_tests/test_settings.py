"""Settings: exact values, and one sentence for a wrong one."""

from decimal import Decimal
from pathlib import Path

import pytest

from zk_pipeline.runtime.settings import SettingsError, load_settings, readable_env_file


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ZK_HOME", "ZK_TIMEZONE", "ZK_DATABASE_URL", "ZK_DAGSTER_URL", "ZK_ENV_FILE", "ZK_ENCRYPTION_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_without_any_variable_the_defaults_hold() -> None:
    settings = load_settings()
    assert (settings.timezone, settings.minutes_per_unit, settings.grid_minutes) == ("UTC", Decimal(1), 15)
    assert settings.database_url is None


def test_amounts_are_read_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_MINUTES_PER_UNIT", "0.1")
    assert load_settings().minutes_per_unit == Decimal("0.1")


def test_the_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ZK_TIMEZONE=Europe/Paris\nZK_GRID_MINUTES=30\n")
    monkeypatch.setenv("ZK_GRID_MINUTES", "5")
    settings = load_settings()
    assert (settings.timezone, settings.grid_minutes) == ("Europe/Paris", 5)


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("ZK_TIMEZONE", "Berlin", "an IANA name such as Europe/Berlin"),
        ("ZK_TIMEZONE", "../../etc/passwd", "an IANA name"),
        ("ZK_GRID_MINUTES", "0", "greater than or equal to 1"),
        ("ZK_MINUTES_PER_UNIT", "-1", "greater than 0"),
        ("ZK_MINUTES_PER_UNIT", "NaN", "finite"),
        ("ZK_PLACEMENT", "middle", "'start', 'end' or 'sequential'"),
        ("ZK_TAGS", "a<b", "none of < >"),
        ("ZK_DESCRIPTION", "{colour}", "{ticket_number}"),
        ("ZK_LOCKED_BEFORE", "yesterday", "first day of last month"),
        ("ZK_ZAMMAD_URL", "zammad.example.com", "https://"),
        ("ZK_START_DATE", "1.1.2024", "date"),
        ("ZK_ACTIVITY_RULES", "componnent, type", "a rule is one of type, component, label"),
        ("ZK_ACTIVITY_RULES", "type,", "has the rule ''"),
        ("ZK_ACTIVITY_RULES", "component, component", "names 'component' twice"),
        ("ZK_CUSTOMER_RULES", "field", "write field:NAME"),
        ("ZK_CUSTOMER_RULES", "group:support", "only a field or a label"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    text = str(raised.value)
    assert text.startswith(f"{name}=")
    assert value in text
    assert remedy in text


def test_secrets_show_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_KIMAI_TOKEN", "very-secret")
    monkeypatch.setenv("ZK_DATABASE_URL", "postgresql://zk:very-secret@db/zk")
    assert "very-secret" not in repr(load_settings())


def test_a_fixed_project_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_PROJECT_STRATEGY", "fixed")
    with pytest.raises(SettingsError, match="needs ZK_FIXED_PROJECT"):
        load_settings()
    monkeypatch.setenv("ZK_FIXED_PROJECT", "SUPPORT")
    assert load_settings().fixed_project == "SUPPORT"


def test_a_settings_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_ENV_FILE", "production.env")
    with pytest.raises(SettingsError, match=r"ZK_ENV_FILE='production.env' is no file"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ZK_LOCKED_BEFOR", "ZK_LOCKED_BEFORE"),
        ("ZK_PUSH_MODUS", "ZK_PUSH_MODE"),
        ("ZK_KIMAI_TOKENS", "ZK_KIMAI_TOKEN"),
        ("ZK_CODE_SOCKETS", "ZK_CODE_SOCKET"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "hidden-value")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value) == (
        f"{name} in the environment is not a setting: did you mean {nearest}? Correct or remove it."
    )


@pytest.mark.parametrize(
    "line", ["ZK_LOCKED_BEFOR=2025-01-01", "export zk_locked_befor='2025-01-01'", "ZK_LOCKED_BEFOR="]
)
def test_an_unknown_name_in_the_env_file_is_refused_with_the_file(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"POSTGRES_PASSWORD=other\n{line}\n")
    with pytest.raises(SettingsError, match=r"^ZK_LOCKED_BEFOR in \.env is not a setting: .* ZK_LOCKED_BEFORE\?"):
        load_settings()


def test_a_variable_of_a_single_command_counts_in_the_environment_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ZK_CONNECTOR_TOKEN", "hidden-value")
    assert load_settings().port == 3000
    (tmp_path / ".env").write_text("ZK_CONNECTOR_TOKEN=hidden-value\n")
    with pytest.raises(SettingsError, match="ZK_CONNECTOR_TOKEN is read from the environment only") as raised:
        load_settings()
    assert "hidden-value" not in str(raised.value)


def test_what_kubernetes_adds_for_a_service_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT": "tcp://10.0.0.1:8000",
        "PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "PORT_8000_TCP_ADDR": "10.0.0.1",
    }
    for name, value in links.items():
        monkeypatch.setenv(f"ZK_PIPELINE_WEB_{name}", value)
    assert load_settings().port == 3000
    monkeypatch.setenv("ZK_PIPELINE_WEB_PORTS", "1")
    with pytest.raises(SettingsError, match="ZK_PIPELINE_WEB_PORTS in the environment is not a setting"):
        load_settings()


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_an_env_file_that_everybody_may_read_is_told(tmp_path: Path, mode: int, told: bool) -> None:
    file = tmp_path / ".env"
    file.touch(mode)
    file.chmod(mode)
    assert (readable_env_file() is not None) is told


@pytest.mark.parametrize("given", ["10.0.0.0/33", "10.0.0.1/8", "a b", "proxy/8", "fd00::/129", "-proxy"])
def test_a_proxy_that_is_no_network_and_no_host_is_named(given: str):
    with pytest.raises(SettingsError, match=r"ZK_TRUSTED_PROXIES.*name an address, a network"):
        load_settings(trusted_proxies=given)


def test_proxies_are_networks_and_names():
    trusted = load_settings(trusted_proxies="10.0.0.2, fd00::/8,proxy.internal").trusted_proxies
    assert [str(each) for each in trusted] == ["10.0.0.2/32", "fd00::/8", "proxy.internal"]
