"""`zk keys`: a new key takes over everything that is encrypted, and the old one may go."""

from cryptography.fernet import Fernet
from sqlalchemy import inspect, text

from zk_pipeline.identity import queries
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.cli.conftest import Zk

NO_SYSTEMS = {"ZK_ZAMMAD_URL": "", "ZK_ZAMMAD_TOKEN": "", "ZK_KIMAI_URL": "", "ZK_KIMAI_TOKEN": ""}


def test_a_generated_key_is_one_that_encrypts(zk: Zk) -> None:
    made = zk("keys", "generate")
    assert made.exit_code == 0
    assert Fernet(made.stdout.strip())


def test_after_a_rotation_the_old_key_may_go(zk: Zk) -> None:
    old, new = zk.home.variables["ZK_ENCRYPTION_KEY"], generate_key()
    assert zk("connectors", "list").exit_code == 0
    with zk.home.database() as database, database.transaction() as connection:
        user = queries.add_user(connection, email="ops@example.com", name="", role="admin")
        assert user is not None
        queries.offer_factor(connection, user.id, TokenCipher(old).encrypt("of the app"))
    rotated = zk("keys", "rotate", ZK_ENCRYPTION_KEY=f"{new},{old}", **NO_SYSTEMS)
    assert rotated.exit_code == 0, rotated.stderr
    assert "2 tokens and 1 second factors" in rotated.stdout
    with zk.home.database() as database, database.transaction() as connection:
        factor = queries.factor_of(connection, user.id)
        assert factor is not None
        assert TokenCipher(new).decrypt(factor.secret_encrypted) == "of the app"
    # Without the tokens of the environment: what counts is what can be read from the database.
    assert zk("connectors", "test", ZK_ENCRYPTION_KEY=new, **NO_SYSTEMS).exit_code == 0
    refused = zk("connectors", "test", ZK_ENCRYPTION_KEY=old, **NO_SYSTEMS)
    assert refused.exit_code == 1
    assert "add the key it was encrypted with" in refused.stderr


def test_a_rotation_is_in_the_audit_trail_without_any_key(zk: Zk) -> None:
    new = generate_key()
    zk("keys", "rotate", ZK_ENCRYPTION_KEY=f"{new},{zk.home.variables['ZK_ENCRYPTION_KEY']}")
    query = """SELECT actor LIKE 'cli:%', detail FROM sync.audit_logs JOIN sync.audit_details USING (id)
        WHERE event = 'keys.rotated'"""
    with zk.home.database() as database, database.transaction() as connection:
        assert [tuple(row) for row in connection.execute(text(query))] == [(True, {"tokens": 2, "second_factors": 0})]


def test_the_tokens_of_connectors_and_second_factors_are_all_that_is_stored_encrypted(zk: Zk) -> None:
    zk("connectors", "list")
    with zk.home.database() as database, database.transaction() as connection:
        found = inspect(connection)
        columns = {
            (table, column["name"])
            for table in found.get_table_names("sync")
            for column in found.get_columns(table, "sync")
            if "encrypted" in column["name"] or "cipher" in column["name"]
        }
    assert columns == {("connectors", "token_encrypted"), ("second_factors", "secret_encrypted")}
