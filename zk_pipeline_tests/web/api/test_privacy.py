"""Export and erasure over the API: for admins, with the address in the body and never in a URL."""

import io
import zipfile

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web, refused

PATH = "/api/v1/gdpr"
ANNA = {"email": "anna@example.com"}


@pytest.fixture
def admin(web: Web, as_role: AsRole) -> httpx.Client:
    """A client of an admin, where Zammad knows Anna."""
    with web.database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO zammad.agents (connector, id, login, email, name, active) "
                "VALUES ('zammad', 7, 'anna', 'anna@example.com', 'Anna Example', true)"
            )
        )
    return as_role("admin")


def test_everything_about_a_person_comes_as_a_zip_file(admin: httpx.Client) -> None:
    answer = admin.post(f"{PATH}/exports", json=ANNA)
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/zip", "no-store")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {"README.txt", "zammad/agents.json"} <= set(archive.namelist())


def test_an_erasure_is_planned_and_carried_out(admin: httpx.Client, web: Web) -> None:
    plan = admin.post(f"{PATH}/erasures/plan", json=ANNA).json()
    done = admin.post(f"{PATH}/erasures", json={**ANNA, "plan_hash": plan["hash"]}).json()
    assert done["lines"] == plan["lines"]
    assert web.rows("SELECT name FROM zammad.agents") == [(done["pseudonym"],)]


def test_another_plan_than_the_one_shown_is_refused(admin: httpx.Client, web: Web) -> None:
    refused(admin.post(f"{PATH}/erasures", json={**ANNA, "plan_hash": "other"}), 409, "Look at the plan again")
    assert web.rows("SELECT name FROM zammad.agents") == [("Anna Example",)]


@pytest.mark.parametrize("path", ["/exports", "/erasures/plan"])
def test_a_stranger_is_answered_with_404_and_no_address_with_422(admin: httpx.Client, path: str) -> None:
    refused(admin.post(PATH + path, json={"email": "nobody@example.com"}), 404, "nothing is stored")
    refused(admin.post(PATH + path, json={"email": "nobody"}), 422, "is not an e-mail address")
    refused(admin.post(PATH + path, json={**ANNA, "role": "admin"}), 422, "role")


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize("path", ["/exports", "/erasures/plan", "/erasures"])
def test_others_than_admins_may_not(as_role: AsRole, role: str, path: str) -> None:
    refused(as_role(role).post(PATH + path, json={**ANNA, "plan_hash": ""}), 403, "the role admin")
