"""`zk gdpr`: a file that only its owner can read, and an erasure that is shown before it is done."""

import json
import stat
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

from zk_pipeline_tests.commands.conftest import Zk

EMAIL, NAME = "anna@example.com", "Anna Example"


@pytest.fixture
def known(zk: Zk) -> Zk:
    """Zammad's directory knows Anna."""
    with zk.home.database() as database, database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO zammad.agents (connector, id, login, email, name, active) "
                "VALUES ('zammad', 7, 'anna', :email, :name, true)"
            ),
            {"email": EMAIL, "name": NAME},
        )
    return zk


def names(zk: Zk) -> list[str]:
    with zk.home.database() as database, database.transaction() as connection:
        return list(connection.execute(text("SELECT name FROM zammad.agents")).scalars())


def test_an_export_is_written_for_its_owner_alone(known: Zk, tmp_path: Path) -> None:
    file = tmp_path / "anna.zip"
    result = known("gdpr", "export", EMAIL, str(file))
    assert (result.exit_code, stat.S_IMODE(file.stat().st_mode)) == (0, 0o600)
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("zammad/agents.json"))[0]["name"] == NAME


def test_a_file_that_is_there_is_not_overwritten(known: Zk, tmp_path: Path) -> None:
    file = tmp_path / "anna.zip"
    file.write_text("something else")
    result = known("gdpr", "export", EMAIL, str(file))
    assert (result.exit_code, file.read_text()) == (1, "something else")
    assert "is there already. Name another file" in result.stderr


def test_a_plan_shows_each_table_and_changes_nothing(known: Zk) -> None:
    result = known("gdpr", "erase", EMAIL, "--plan")
    assert result.exit_code == 0
    assert "zammad.agents" in result.stdout
    assert "pseudonymized" in result.stdout
    assert names(known) == [NAME]


def test_nobody_is_erased_without_a_yes(known: Zk) -> None:
    assert known("gdpr", "erase", EMAIL, answer="n\n").exit_code == 1
    assert names(known) == [NAME]


def test_with_json_and_without_yes_it_is_only_planned(known: Zk) -> None:
    plan = json.loads(known("gdpr", "erase", EMAIL, "--json").stdout)
    assert [line["table"] for line in plan["lines"]] == ["zammad.agents"]
    assert names(known) == [NAME]


def test_an_erasure_tells_the_pseudonym(known: Zk) -> None:
    done = json.loads(known("gdpr", "erase", EMAIL, "--yes", "--json").stdout)
    assert names(known) == [done["pseudonym"]]
    assert "unbroken" in known("audit", "verify").stdout


@pytest.mark.parametrize("command", ["export", "erase"])
def test_of_strangers_nothing_is_known(zk: Zk, command: str) -> None:
    result = zk("gdpr", command, "nobody@example.com")
    assert result.exit_code == 1
    assert "Nothing is stored about nobody@example.com" in result.stderr
