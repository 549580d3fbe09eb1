"""What is called or set wrongly ends in one sentence with the remedy, and nothing is done."""

from pathlib import Path

import pytest

from zk_pipeline_tests.cli.conftest import Zk


def test_a_home_that_is_a_file_is_named_with_the_remedy(zk: Zk, tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.touch()
    result = zk("status", ZK_HOME=str(file))
    assert result.exit_code == 1
    assert f"ZK_HOME='{file}' cannot be used: File exists. Name a directory" in result.stderr


def test_a_home_of_no_account_is_named_with_the_remedy(zk: Zk) -> None:
    result = zk("status", ZK_HOME="~no-such-account/zk")
    assert result.exit_code == 1
    assert "ZK_HOME='~no-such-account/zk' cannot be used" in result.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:port", "[::1"])
def test_a_database_url_without_a_proper_port_is_refused_and_its_password_is_not_shown(zk: Zk, address: str) -> None:
    result = zk("status", ZK_DATABASE_URL=f"postgresql://zk:hidden@{address}/zk")
    assert result.exit_code == 1
    assert "ZK_DATABASE_URL is no PostgreSQL URL" in result.stderr
    assert "hidden" not in result.output


def test_an_encryption_key_that_is_none_is_refused_with_the_command_that_makes_one(zk: Zk) -> None:
    result = zk("status", ZK_ENCRYPTION_KEY="hidden")
    assert result.exit_code == 1
    assert "zk keys generate" in result.stderr
    assert "hidden" not in result.output


@pytest.mark.parametrize("words", [("show", f"{2**63}"), ("resolve", f"{2**63}", "ignore")])
def test_an_id_larger_than_any_is_an_unknown_conflict(zk: Zk, words: tuple[str, ...]) -> None:
    result = zk("conflicts", *words)
    assert result.exit_code == 1
    assert f"There is no conflict {2**63}." in result.stderr


def test_an_approval_for_machines_needs_a_yes(zk: Zk) -> None:
    result = zk("approve", "2025-10-01", "--json", ZK_PUSH_MODE="review")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Add --yes to approve" in result.stderr


def test_a_password_in_an_address_is_refused_before_it_is_stored_or_shown(zk: Zk) -> None:
    address = "https://zk:hidden@support.example.com"
    for result in (
        zk("status", ZK_ZAMMAD_URL=address),
        zk("connectors", "set", "zammad", address, answer="unused"),
    ):
        assert result.exit_code == 1
        assert "contains credentials" in result.stderr
        assert "hidden" not in result.output
