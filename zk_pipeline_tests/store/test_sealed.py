"""Sealed files come back whole, or not at all."""

import io
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.recovery.encrypted_file import FRAME, MAGIC, SealBrokenError, SealedWriter, unsealed

KEY = secrets.token_bytes(32)


def sealed(*parts: bytes, key: bytes = KEY) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, key)
    for part in parts:
        writer.write(part)
    writer.finish()
    return file.getvalue()


def opened(content: bytes, *keys: bytes) -> bytes:
    return b"".join(unsealed(io.BytesIO(content), keys or (KEY,), "a.file"))


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME])
def test_what_was_written_comes_back(size: int):
    content = secrets.token_bytes(size)
    assert opened(sealed(content)) == content


@given(st.lists(st.binary(max_size=100)))
def test_it_does_not_matter_how_it_was_cut(parts: list[bytes]):
    assert opened(sealed(*parts)) == b"".join(parts)


def test_nothing_of_the_content_can_be_read_in_the_file():
    assert b"secret" not in sealed(b"secret" * 100)


def test_an_older_key_opens_it_too():
    older = secrets.token_bytes(32)
    assert opened(sealed(b"kept", key=older), KEY, older) == b"kept"


def test_another_key_does_not_open_it():
    with pytest.raises(SealBrokenError, match="Add the key of that time"):
        opened(sealed(b"kept"), secrets.token_bytes(32))


def test_one_flipped_bit_anywhere_is_refused():
    whole = sealed(b"a month of time sheets")
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 1
        with pytest.raises(SealBrokenError):
            opened(bytes(altered))


def test_a_cut_anywhere_is_refused():
    whole = sealed(b"a month of time sheets")
    for length in range(len(whole)):
        with pytest.raises(SealBrokenError):
            opened(whole[:length])


def test_parts_in_another_order_are_refused():
    whole = sealed(secrets.token_bytes(3 * FRAME))
    head, size = len(MAGIC) + 16, 4 + FRAME + 16
    first, second = whole[head : head + size], whole[head + size : head + 2 * size]
    with pytest.raises(SealBrokenError):
        opened(whole[:head] + second + first + whole[head + 2 * size :])


def test_a_missing_last_part_is_refused():
    whole = sealed(secrets.token_bytes(2 * FRAME))
    with pytest.raises(SealBrokenError, match="its end is missing"):
        opened(whole[: len(MAGIC) + 16 + 4 + FRAME + 16])


def test_what_is_added_to_the_end_is_refused():
    with pytest.raises(SealBrokenError, match="added to its end"):
        opened(sealed(b"kept") + b"x")
