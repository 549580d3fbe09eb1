"""The letterhead that an admin sets: it counts instead of the environment's until it is the same again."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from zk_pipeline.billing import letterhead
from zk_pipeline.billing.files.style import document_style
from zk_pipeline.billing.letterhead import LONGEST, Letterhead
from zk_pipeline.identity.actors import Actor, OperationError, Role
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.domain.builders import DAY
from zk_pipeline_tests.web.conftest import database, endpoint, migrated

__all__ = ["database", "endpoint", "migrated"]
ADMIN = Actor("user:1", Role.ADMIN)
STORED = "SELECT name, value FROM sync.settings ORDER BY name"
ACTS = (
    "SELECT detail FROM sync.audit_details JOIN sync.audit_logs USING (id) WHERE event = 'letterhead.set' ORDER BY id"
)


@pytest.fixture
def runtime(database: Database) -> Runtime:
    """An installation whose environment has a letterhead and a footer."""
    settings = Settings(_env_file=None, statement_letterhead="Nordlicht", statement_footer="HRB 1")  # pyright: ignore[reportCallIssue]
    return Runtime(settings, database, TokenCipher(generate_key()))


def test_what_is_set_counts_until_it_is_the_environments_again(runtime: Runtime) -> None:
    default = Letterhead("Nordlicht", "", "HRB 1")
    assert letterhead.read(runtime) == default
    wanted = replace(default, text="Thank you.", footer="")
    for _ in range(2):
        letterhead.change(runtime, ADMIN, wanted)
    assert letterhead.read(runtime) == wanted
    with runtime.database.transaction() as connection:
        stored = {row.name: row.value for row in connection.execute(text(STORED))}
        acts = list(connection.execute(text(ACTS)).scalars())
    assert stored == {"statement.footer": "", "statement.text": "Thank you."}, (
        "what follows the environment is not kept"
    )
    assert [act["after"]["text"] for act in acts] == ["Thank you."], "the second change changed nothing"
    letterhead.change(runtime, ADMIN, default)
    with runtime.database.transaction() as connection:
        assert list(connection.execute(text(STORED))) == []


def test_a_text_that_is_too_long_is_refused(runtime: Runtime) -> None:
    with pytest.raises(OperationError, match="at most 2000"):
        letterhead.change(runtime, ADMIN, Letterhead(text="x" * (LONGEST + 1)))


def test_the_preview_is_a_service_record_with_these_texts(runtime: Runtime) -> None:
    style = letterhead.styled(document_style(runtime.settings), Letterhead("Südlicht", "", "HRB 2"))
    assert (style.letterhead, style.footer) == ("Südlicht", "HRB 2")
    assert letterhead.preview(style, DAY).startswith(b"%PDF")
