"""The signature of a delivery, on the vector of the facts about Zammad and on anything else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zk_pipeline.connectors.zammad.signature import is_signed, signature

SECRET, BODY = "zammad-test-key", b'{"ticket":{"id":1}}'
SIGNED = "sha1=cc391c8ea8e37525b5a6c00f462210b3e2cdf966"


def test_it_is_the_one_that_zammad_makes():
    assert signature(SECRET, BODY) == SIGNED
    assert is_signed(SECRET, BODY, SIGNED)


def test_upper_case_digits_are_the_same_digits():
    assert is_signed(SECRET, BODY, f"sha1={SIGNED[5:].upper()}")


def test_a_body_serialized_anew_is_another_body():
    assert not is_signed(SECRET, b'{"ticket": {"id": 1}}', SIGNED)


@pytest.mark.parametrize(
    "header",
    ["", "sha1=", SIGNED[5:], SIGNED[:-1], f"{SIGNED}0", f"{SIGNED}\n", f" {SIGNED}", "sha256=" + "0" * 64, "sha1=ä"],
)
def test_what_is_no_whole_signature_is_refused(header: str):
    assert not is_signed(SECRET, BODY, header)


@settings(deadline=None)
@given(secret=st.text(min_size=1), body=st.binary(), other=st.binary())
def test_a_signature_fits_its_own_secret_and_body_alone(secret: str, body: bytes, other: bytes):
    signed = signature(secret, body)
    assert is_signed(secret, body, signed)
    assert is_signed(secret, other, signed) == (body == other)
    assert not is_signed(f"{secret}x", body, signed)


@settings(deadline=None)
@given(header=st.text())
def test_any_header_is_judged_without_an_error(header: str):
    assert is_signed(SECRET, BODY, header) == (header.lower() == SIGNED)
