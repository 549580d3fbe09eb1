"""`zk gdpr`: a file that only its owner can read, and an erasure that is shown before it is done."""

# ruff: noqa: RUF001 (letters that look alike are what this is about)
import json
import re
import stat
import unicodedata
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

import zk_pipeline
from zk_pipeline.languages import Language, places
from zk_pipeline.privacy import erasure, queries
from zk_pipeline.privacy.queries import OWNED_ROWS
from zk_pipeline.runtime.dagster_internals import opened
from zk_pipeline.store.encryption import TokenCipher
from zk_pipeline.store.tables import SCHEMAS, metadata
from zk_pipeline_tests.cli.conftest import Zk

MODELS = Path(zk_pipeline.__file__).parents[1] / "dbt_models" / "models" / "marts"
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
    assert "already exists. Choose another file" in result.stderr


def test_a_plan_shows_each_table_and_changes_nothing(known: Zk) -> None:
    result = known("gdpr", "erase", EMAIL, "--plan")
    assert result.exit_code == 0
    assert "Agents in Zammad" in result.stdout
    assert "name replaced" in result.stdout
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


PEOPLE = {
    "ß": ("Max Groß", "MAX GROSS"),
    "İ": ("İpek Işık", "ipek IŞIK"),
    "ς": ("Νίκος Παππάς", "ΝΊΚΟΣ ΠΑΠΠΆΣ"),
    "composed": ("Jörg Krüger", "Jo\u0308rg KRU\u0308GER"),
    "decomposed": (unicodedata.normalize("NFD", "Jörg Krüger"), "Jörg Krüger"),
    "O'Neill": ("Ann O'Neill", "ANN O\u2019NEILL"),
    "%": ("Ann 100%er", "ann 100%ER"),
    "_": ("Ann_Lee Under_Score", "ANN_LEE under_score"),
}


QUERIES = """
    INSERT INTO zammad.tickets (connector, id, number, title, complete, raw)
        VALUES ('zammad', 990001, '1', 'Re: ' || :name || ': printer', true, '{}');
    INSERT INTO zammad.organizations (connector, id, name, active) VALUES ('zammad', 990001, :name, true);
    INSERT INTO sync.webhook_deliveries (connector, delivery_id, ticket_id, body)
        VALUES ('zammad', '1', 1, convert_to(:body, 'UTF8'));
    INSERT INTO sync.request_log (connector, run_id, method, path, asked, answered, error, seconds, sent_at)
        VALUES ('kimai', 'r', 'GET', '/api/users?term=' || :quoted, to_jsonb(CAST(:body AS text)),
        jsonb_build_object('users', jsonb_build_array(CAST(:name AS text))), :body, 0, now());
    INSERT INTO sync.cursors (connector, subject, value)
        VALUES ('alerts', 'waiting', jsonb_build_object(CAST(:name AS text), 1));
    INSERT INTO sync.acts (actor, key, route, body_hash, status, answer)
        VALUES ('user:9', 'k', 'r', 'h', 200, :sealed)
"""


def escaped_call(written: str) -> str:
    """What Zammad sends about a call of somebody, in JSON's own spelling."""
    return json.dumps({"ticket": {"title": f"Call {written} <{EMAIL.upper()}>"}})


def stored_in_our_tables(zk: Zk, written: str) -> None:
    """Put a name wherever our database keeps something: titles, bodies, answers, alerts."""
    escaped = escaped_call(written)
    values = {
        "name": written,
        "body": escaped,
        "quoted": EMAIL.replace("@", "%40"),
        "sealed": TokenCipher(zk.home.variables["ZK_ENCRYPTION_KEY"]).encrypt(escaped),
    }
    with zk.home.database() as database, database.transaction() as connection:
        for query in QUERIES.split(";"):
            connection.execute(text(query), {name: value for name, value in values.items() if f":{name}" in query})


def stored(zk: Zk, written: str) -> None:
    """Put a name wherever something is stored: in our tables, Dagster's records, files."""
    stored_in_our_tables(zk, written)
    escaped = escaped_call(written)
    with opened(zk.home.variables["ZK_DAGSTER_URL"]) as dagster, dagster.transaction() as connection:
        # As Dagster makes them at its first start.
        connection.execute(text("CREATE TABLE event_logs (id serial, run_id varchar, event text, timestamp timestamp)"))
        connection.execute(text("CREATE TABLE kvs (key text, value text)"))
        connection.execute(
            text("INSERT INTO event_logs (run_id, event, timestamp) VALUES ('r', :event, now())"),
            {"event": json.dumps({"user_message": escaped})},
        )
        connection.execute(text("INSERT INTO kvs (key, value) VALUES (:key, :value)"), {"key": "k", "value": written})
    log = zk.home.path / "dagster" / "storage" / "r" / "compute_logs" / "step.err"
    log.parent.mkdir(parents=True)
    log.write_text(f"first\n{escaped}\nlast {written}\n")


TABLES = text(
    "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema = ANY(:schemas)"
)


def everything(zk: Zk) -> str:
    """All that is stored, by SQL's own words, and with what is escaped, packed in bytes or encrypted opened here."""
    texts: list[str] = []
    for url, schemas in {"ZK_DATABASE_URL": SCHEMAS, "ZK_DAGSTER_URL": ("public",)}.items():
        with opened(zk.home.variables[url]) as database, database.transaction() as connection:
            for table in connection.execute(TABLES, {"schemas": list(schemas)}).scalars().all():
                texts += connection.execute(text(f"SELECT row_to_json(t)::text FROM {table} t")).scalars()
    with zk.home.database() as database, database.transaction() as connection:
        cipher = TokenCipher(zk.home.variables["ZK_ENCRYPTION_KEY"])
        texts += map(cipher.decrypt, connection.execute(text("SELECT answer FROM sync.acts")).scalars())
        texts += connection.execute(text("SELECT convert_from(body, 'UTF8') FROM sync.webhook_deliveries")).scalars()
    texts += (path.read_text() for path in (zk.home.path / "dagster" / "storage").rglob("*") if path.is_file())
    plain = "\n".join(texts).replace("%40", "@")
    return re.sub(r"\\+u([0-9a-f]{4})", lambda escape: chr(int(escape[1], 16)), plain)


def know(zk: Zk, name: str) -> None:
    with zk.home.database() as database, database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO zammad.agents (connector, id, login, email, name, active) "
                "VALUES ('zammad', 990007, 'x', :email, :name, true)"
            ),
            {"email": EMAIL.title(), "name": name},
        )


def bare(value: str) -> str:
    """Letters alone, as anybody would compare them who knows nothing of our folding."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", value).upper().casefold())
    return "".join(letter for letter in plain if letter.isalnum())


@pytest.mark.parametrize(("name", "written"), PEOPLE.values(), ids=PEOPLE)
def test_a_person_is_erased_from_every_table_of_both_databases_and_from_the_files(
    zk: Zk, name: str, written: str
) -> None:
    know(zk, name)
    stored(zk, written)
    exported = zk.home.path.parent / f"{zk.home.path.name}.zip"
    assert zk("gdpr", "export", EMAIL, str(exported)).exit_code == 0
    with zipfile.ZipFile(exported) as archive:
        assert {
            "zammad/agents.json",
            "zammad/tickets.json",
            "zammad/organizations.json",
            "sync/webhook_deliveries.json",
            "sync/request_log.json",
            "sync/cursors.json",
            "sync/acts.json",
            "dagster/event_logs.json",
            "dagster/kvs.json",
            "files.json",
        } <= set(archive.namelist())
    done = zk("gdpr", "erase", EMAIL, "--yes")
    assert (done.exit_code, "Erased. The person is now called person-" in done.stdout) == (0, True), done.stderr
    left = bare(everything(zk))
    assert bare(written) not in left
    assert bare(EMAIL) not in left
    assert "first" in (zk.home.path / "dagster" / "storage" / "r" / "compute_logs" / "step.err").read_text()
    assert zk("gdpr", "export", EMAIL, str(exported.with_suffix(".2.zip"))).exit_code == 1


def test_the_word_erased_is_refused_while_the_person_is_named_in_a_table(known: Zk) -> None:
    with known.home.database() as database, database.transaction() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION sync.again() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN NEW.name := 'Anna Example'; RETURN NEW; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER again BEFORE UPDATE ON zammad.agents FOR EACH ROW EXECUTE FUNCTION sync.again()")
        )
    result = known("gdpr", "erase", EMAIL, "--yes")
    assert (result.exit_code, "Erased" in result.stdout) == (1, False)
    assert "still named. Rows: 1. The audit trail says where." in result.stderr
    trail = known("audit", "export", "--format", "jsonl", "--event", "privacy.").stdout
    events = [json.loads(line) for line in trail.splitlines()]
    assert [event["event"] for event in events] == ["privacy.erased", "privacy.erasure_incomplete"]
    assert events[1]["detail"]["left"] == [{"table": "zammad.agents", "rows": 1}]


def test_an_export_that_lies_in_the_home_is_named_until_it_is_removed(known: Zk) -> None:
    file = known.home.path / "anna.zip"
    assert known("gdpr", "export", EMAIL, str(file)).exit_code == 0
    assert f"Remove {file}, or the erasure will be incomplete" in known("gdpr", "erase", EMAIL, "--plan").stdout
    result = known("gdpr", "erase", EMAIL, "--yes")
    assert (result.exit_code, str(file) in result.stderr) == (1, True)


def test_each_place_that_a_plan_can_tell_has_words(zk: Zk) -> None:
    with zk.home.database() as database, database.transaction() as connection:
        told = {*queries.tables(connection), *queries.ACCOUNTS, queries.DETAILS, erasure.FILES}
    told |= {f"marts.{file.stem}" for file in MODELS.glob("*.sql")}
    told |= {f"dagster.{table}" for table in ("event_logs", "runs", "run_tags", "job_ticks", "asset_keys", "kvs")}
    assert len(told) > 60
    assert {table for table in told if f"privacy.place.{table}" not in places.WORDS} == set()
    for language in Language:
        said = [places.place(table, language) for table in told]
        assert len(set(said)) == len(told)
        assert not [text for text in said if "_" in text or "." in text]
        assert places.place("dagster.of_a_later_version", language) == places.place("dagster", language)


def test_every_table_with_ids_of_people_says_whose_its_rows_are() -> None:
    """A table that is added has to be named here or in `OWNED_ROWS`."""
    ids = {"agent_id", "user_id", "source_id", "booking_id", "correction_id"}
    tables = {table.fullname for table in metadata.tables.values() if ids & set(table.columns.keys())}
    assert tables <= set(OWNED_ROWS)


@pytest.mark.parametrize("command", ["export", "erase"])
def test_of_strangers_nothing_is_known(zk: Zk, command: str) -> None:
    result = zk("gdpr", command, "nobody@example.com")
    assert result.exit_code == 1
    assert "nothing is stored about nobody@example.com" in result.stderr
