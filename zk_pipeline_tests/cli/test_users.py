"""`zk users`: who may sign in, made at the command line."""

import json
import re

import pytest
from pyotp.totp import TOTP

from zk_pipeline.identity import queries
from zk_pipeline_tests.cli.conftest import Home, Zk

PASSWORD = "correct horse battery"


def rows(home: Home, query: str) -> list[tuple[object, ...]]:
    with home.database() as database, database.transaction() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def listed(zk: Zk) -> list[tuple[str, str, bool]]:
    return [(user["email"], user["role"], user["active"]) for user in json.loads(zk("users", "list", "--json").stdout)]


def test_the_first_admin_is_created_with_a_password_from_standard_input(zk: Zk, zk_home: Home):
    made = zk("users", "create", "Ops@Example.com", "--role", "admin", answer=f"{PASSWORD}\n")
    assert made.stdout == "ops@example.com can sign in, with the role admin.\n"
    assert listed(zk) == [("ops@example.com", "admin", True)]
    ((stored,),) = rows(zk_home, "SELECT password_hash FROM sync.users")
    assert str(stored).startswith("$argon2id$")
    assert ("user.created", "user:1") in rows(zk_home, "SELECT event, subject FROM sync.audit_logs")


@pytest.mark.parametrize(
    ("email", "password", "told"),
    [
        ("ops@example.com", "too short", "this one has 9"),
        ("ops@example.com", "", "this one has 0"),
        ("ops", PASSWORD, "'ops' is invalid. Write it as"),
        ("a@b@c", PASSWORD, "'a@b@c' is invalid. Write it as"),
        ("o ps@example.com", PASSWORD, "is invalid. Write it as"),
    ],
)
def test_what_cannot_be_a_user_is_refused_with_the_reason(zk: Zk, email: str, password: str, told: str):
    refused = zk("users", "create", email, answer=f"{password}\n")
    assert (refused.exit_code, told in refused.stderr) == (1, True)
    assert listed(zk) == []


def test_an_email_is_told_as_it_is_stored_and_not_as_markup(zk: Zk):
    made = zk("users", "create", "[bold]ada@example.com", "--without-password")
    assert made.stdout == "[bold]ada@example.com can sign in, with the role viewer.\n"


def test_an_email_is_taken_once(zk: Zk):
    zk("users", "create", "ops@example.com", "--without-password")
    again = zk("users", "create", "OPS@example.com", "--without-password")
    assert (again.exit_code, "User ops@example.com already exists" in again.stderr) == (1, True)


def test_the_last_admin_stays_until_there_is_another(zk: Zk):
    zk("users", "create", "ops@example.com", "--role", "admin", "--without-password")
    for arguments in (("set-role", "ops@example.com", "viewer"), ("deactivate", "ops@example.com")):
        refused = zk("users", *arguments)
        assert (refused.exit_code, "is the last active admin" in refused.stderr) == (1, True)
    zk("users", "create", "ada@example.com", "--without-password")
    assert zk("users", "set-role", "ada@example.com", "admin").exit_code == 0
    assert zk("users", "deactivate", "ops@example.com").exit_code == 0
    assert listed(zk) == [("ada@example.com", "admin", True), ("ops@example.com", "admin", False)]
    assert zk("users", "activate", "ops@example.com").stdout == "ops@example.com can sign in again.\n"


def test_a_new_password_ends_the_sessions_of_the_user(zk: Zk, zk_home: Home):
    zk("users", "create", "ops@example.com", answer=f"{PASSWORD}\n")
    with zk_home.database() as database, database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sync.sessions (id, user_id, refresh_hash, expires_at) VALUES ('s', 1, 'h', now() + '1 hour')"
        )
    assert zk("users", "set-password", "ops@example.com", answer="another long one\n").exit_code == 0
    assert rows(zk_home, "SELECT id FROM sync.sessions WHERE ended_at IS NULL") == []


def test_a_second_factor_is_set_up_in_two_steps(zk: Zk, zk_home: Home):
    zk("users", "create", "ops@example.com", answer=f"{PASSWORD}\n")
    shown = zk("users", "set-second-factor", "ops@example.com").stdout
    key = re.search(r"Key: (\w{32})\n", shown)
    assert key is not None
    wrong = zk("users", "set-second-factor", "ops@example.com", "--code", "000000")
    assert (wrong.exit_code, "The code is wrong" in wrong.stderr) == (1, True)
    done = zk("users", "set-second-factor", "ops@example.com", "--code", TOTP(key[1]).now())
    assert len(re.findall(r"^[a-z2-7-]{29}$", done.stdout, re.MULTILINE)) == 10
    actors = rows(zk_home, "SELECT actor FROM sync.audit_logs WHERE event = 'user.second_factor_set'")
    assert [str(actor).partition(":")[0] for (actor,) in actors] == ["cli"]
    again = zk("users", "set-second-factor", "ops@example.com")
    assert (again.exit_code, "Remove the second factor of" in again.stderr) == (1, True)


def test_a_lost_second_factor_is_removed_and_audited(zk: Zk, zk_home: Home):
    zk("users", "create", "ops@example.com", answer=f"{PASSWORD}\n")
    refused = zk("users", "reset-second-factor", "ops@example.com")
    assert (refused.exit_code, "ops@example.com has no second factor" in refused.stderr) == (1, True)
    with zk_home.database() as database, database.transaction() as connection:
        assert queries.offer_factor(connection, 1, "encrypted")
        assert queries.activate_factor(connection, 1)
        queries.set_codes(connection, 1, ["hash"])
    assert json.loads(zk("users", "list", "--json").stdout)[0]["second_factor"] is True
    done = zk("users", "reset-second-factor", "ops@example.com")
    assert done.stdout == "ops@example.com no longer has a second factor; all sessions have ended.\n"
    assert rows(zk_home, "SELECT user_id FROM sync.recovery_codes UNION SELECT user_id FROM sync.second_factors") == []
    assert ("user.second_factor_removed", "user:1") in rows(zk_home, "SELECT event, subject FROM sync.audit_logs")


def test_somebody_unknown_is_named(zk: Zk):
    refused = zk("users", "set-role", "who@example.com", "admin")
    assert (refused.exit_code, "User who@example.com does not exist" in refused.stderr) == (1, True)
