"""The API in ten minutes (docs/api.md): its script is run, and what it shows is compared."""

import os
import subprocess
import sys

from zk_pipeline.identity.actors import Role
from zk_pipeline_tests.documented import blocks, is_shown
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.api.planned import planned_day, store_plan
from zk_pipeline_tests.web.conftest import Web, token_of
from zk_pipeline_tests.web.test_documented_requests import DOCS, example


def test_the_script_of_the_page_does_what_the_page_shows(web: Web, ids: dict[str, int]):
    del ids
    page = DOCS / "api.md"
    store_plan(web.database, planned_day())
    ((script,), (shown,)) = ([block.text for block in blocks(page, kind)] for kind in ("python", "text"))
    given = {**os.environ, "API_URL": str(web.client.base_url), "API_TOKEN": token_of(web.database, Role.OPERATOR)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, env=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    answer = (done.stdout + done.stderr).replace("operator@example.com", "anna.berger@example.com")
    assert is_shown(answer.replace("operator@example.com", "anna.berger@example.com"), tuple(shown.splitlines())), (
        answer
    )
    assert web.rows("SELECT count(DISTINCT requested_at) FROM sync.day_requests") == [(1,)], "asked twice, done once"


def test_an_error_of_the_api_has_the_form_of_its_page(web: Web, as_role: AsRole):
    shown = example("api.md", "request_id")
    answer = as_role("viewer").get("/api/v1/conflicts?reson=billed").json()
    assert (answer["detail"], answer["status_code"]) == (shown["detail"], shown["status_code"])
    assert {name: len(value) for name, value in answer.items() if name != "status_code"} == {
        name: len(value) for name, value in shown.items() if name != "status_code"
    }
