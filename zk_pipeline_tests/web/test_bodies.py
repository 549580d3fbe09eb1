"""Bodies that are too large are refused while they arrive."""

from collections.abc import Iterator

import pytest

from zk_pipeline.web.limits import LIMIT
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web, refused


def unannounced(size: int) -> Iterator[bytes]:
    """A body whose length no header tells."""
    for _ in range(0, size, 50_000):
        yield b" " * 50_000


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/auth/refresh"])
def test_strangers_cannot_fill_the_memory(web: Web, path: str):
    headers = {"content-type": "application/json"}
    refused(web.client.post(path, content=unannounced(2 * LIMIT), headers=headers), 413, "bytes")


def test_the_sign_in_form_has_the_limit_too(web: Web):
    headers = {"content-type": "application/x-www-form-urlencoded", "origin": str(web.client.base_url).rstrip("/")}
    assert web.client.post("/sign-in", content=unannounced(2 * LIMIT), headers=headers).status_code == 413


def test_an_announced_length_is_not_believed(as_role: AsRole):
    answer = as_role("admin").post("/api/v1/users", content=b" " * (LIMIT + 1))
    refused(answer, 413, "bytes")


def test_what_is_within_the_limit_is_read(in_session: AsRole):
    answer = in_session("admin").post("/api/v1/users", json={"email": "x" * 10_000})
    refused(answer, 422, "email")
