"""Settings: exact values, and one sentence for a wrong one."""

from decimal import Decimal
from pathlib import Path

import pytest

from zk_pipeline.settings import SettingsError, load_settings


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
