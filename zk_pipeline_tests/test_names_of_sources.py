"""Code outside Zammad's own package speaks of sources; where it still says "zammad" is listed, and becomes less."""

import re
from pathlib import Path

import zk_pipeline
from zk_pipeline.store.tables import metadata

PACKAGE = Path(zk_pipeline.__file__).parent
OWN = ("connectors/zammad/", "store/migrations/")
"""Zammad's own package, and migrations, which never change."""
TABLES = "|".join(table.name for table in metadata.tables.values() if table.schema == "zammad")
ZAMMAD = re.compile(rf"(?<!docs/)zammad(?!\.(?:{TABLES})\b)", re.IGNORECASE)
"""Its documentation and the tables of its schema may be named."""
EXCEPTIONS = {
    "__init__.py": 1,
    "api.py": 2,
    "audit/trail.py": 5,
    "billing/files/closed_statement.py": 1,
    "billing/files/data.py": 4,
    "billing/files/money.py": 1,
    "billing/files/words.py": 2,
    "cli/app.py": 1,
    "cli/close.py": 1,
    "cli/conflicts.py": 1,
    "cli/connectors.py": 2,
    "cli/demo.py": 4,
    "cli/mappings.py": 20,
    "cli/report.py": 2,
    "cli/statement.py": 3,
    "cli/sync_report.py": 1,
    "cli/trace.py": 3,
    "cli/up.py": 1,
    "connectors/__init__.py": 1,
    "connectors/http.py": 1,
    "connectors/kimai/errors.py": 2,
    "connectors/ssrf_guard.py": 3,
    "decisions/causes.py": 9,
    "decisions/comparison.py": 1,
    "decisions/mapping_files.py": 6,
    "decisions/mapping_names.py": 19,
    "decisions/mappings.py": 20,
    "decisions/partners.py": 10,
    "definitions.py": 2,
    "defs/checks.py": 4,
    "defs/common.py": 1,
    "defs/jobs.py": 1,
    "defs/lineage.py": 4,
    "defs/marts.py": 1,
    "defs/resources.py": 5,
    "defs/run_history.py": 1,
    "defs/sensors.py": 2,
    "defs/sync.py": 1,
    "defs/zammad.py": 5,
    "domain/decision.py": 2,
    "domain/mapping_lines.py": 29,
    "domain/markers.py": 1,
    "domain/numbers.py": 4,
    "domain/people.py": 2,
    "domain/plan_lines.py": 1,
    "domain/plausibility.py": 7,
    "domain/policy.py": 1,
    "domain/reasons.py": 8,
    "domain/resolutions.py": 1,
    "domain/statement.py": 6,
    "domain/statement_rows.py": 6,
    "domain/vital_figures.py": 1,
    "identity/users.py": 1,
    "languages/places.py": 13,
    "languages/reasons.py": 1,
    "observe/doctor/data.py": 4,
    "observe/doctor/examinations.py": 1,
    "observe/doctor/report.py": 1,
    "observe/doctor/settings.py": 5,
    "observe/doctor/systems.py": 17,
    "observe/measurements.py": 1,
    "operate/connectors.py": 2,
    "pipeline.py": 1,
    "privacy/erasure.py": 3,
    "privacy/queries.py": 1,
    "processes/preloaded.py": 1,
    "runtime/links.py": 3,
    "runtime/runtime.py": 2,
    "runtime/settings.py": 4,
    "store/raw_tables.py": 9,
    "store/roles.py": 1,
    "store/statements.py": 4,
    "store/tables.py": 1,
    "web/api/connectors.py": 2,
    "web/api/documentation.py": 2,
    "web/api/examples.py": 8,
    "web/api/mappings.py": 10,
    "web/console/causes.py": 1,
    "web/console/connectors.py": 2,
    "web/console/details.py": 3,
    "web/console/mappings/board.py": 3,
    "web/console/mappings/forms.py": 10,
    "web/console/reconcile/cards.py": 1,
    "web/console/reconcile/fixes.py": 2,
    "web/console/statement/charts.py": 1,
    "web/console/statement/figures.py": 1,
    "web/console/words/connectors.py": 12,
    "web/console/words/dashboard.py": 4,
    "web/console/words/decisions.py": 13,
    "web/console/words/mappings.py": 18,
    "web/console/words/reconcile.py": 1,
    "web/console/words/statement.py": 1,
    "web/console/words/top_bar.py": 6,
    "web/sign_in.py": 3,
    "web/webhooks.py": 3,
    "write_back/sending.py": 1,
}
"""The most lines of each module that may name Zammad. Lower a number, or take its line out; never add to them.

Some stay: `defs/zammad.py`, the settings, the first space of numbers, the name of the schema in the database.
"""


def naming() -> dict[str, int]:
    """How many lines of each module name Zammad."""
    found: dict[str, int] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        lines = sum(bool(ZAMMAD.search(line)) for line in path.read_text(encoding="utf-8").splitlines())
        if lines and not name.startswith(OWN):
            found[name] = lines
    return found


def test_no_more_code_than_before_names_zammad():
    more = {name: lines for name, lines in naming().items() if lines > EXCEPTIONS.get(name, 0)}
    assert more == {}, "Say source, or the connector's own name."


def test_the_exceptions_only_become_less():
    assert EXCEPTIONS.keys() - naming().keys() == set(), "Take these lines out of EXCEPTIONS."
