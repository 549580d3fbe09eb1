"""Sealed files come back whole, or not at all."""

import io
import secrets
import struct
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.recovery.encrypted_file import ADDED, FRAME, HEADER, MAGIC, BrokenFileError, EncryptedWriter, decrypted

KEY = secrets.token_bytes(32)
Seal = Callable[..., bytes]


def sealed(*parts: bytes, key: bytes = KEY) -> bytes:
    file = io.BytesIO()
    writer = EncryptedWriter(file, key)
    for part in parts:
        writer.write(part)
    writer.finish()
    return file.getvalue()


def first_sealed(content: bytes, key: bytes = KEY) -> bytes:
    """As version 0.1 sealed: frames of a length and an AES-256-GCM ciphertext, under a key of the file's own."""
    salt = secrets.token_bytes(16)
    cipher = AESGCM(HKDF(SHA256(), 32, salt, b"zk sealed file").derive(key))
    parts = [content[start : start + FRAME] for start in range(0, len(content), FRAME)] or [b""]
    file = b"zk sealed 1\n" + salt
    for place, part in enumerate(parts):
        frame = cipher.encrypt(place.to_bytes(12, "big"), part, b"\x01" if part is parts[-1] else b"\x00")
        file += struct.pack(">I", len(frame)) + frame
    return file


WAYS = pytest.mark.parametrize("seal", [sealed, first_sealed])
PART, FIRST_PART = FRAME + ADDED, 4 + FRAME + 16
HEAD, FIRST_HEAD = len(MAGIC) + HEADER, len(MAGIC) + 16
LAYOUTS = pytest.mark.parametrize(
    ("seal", "head", "size"), [(sealed, HEAD, PART), (first_sealed, FIRST_HEAD, FIRST_PART)]
)


def opened(content: bytes, *keys: bytes) -> bytes:
    return b"".join(decrypted(io.BytesIO(content), keys or (KEY,), "a.file"))


@WAYS
@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME])
def test_what_was_written_comes_back(seal: Seal, size: int):
    content = secrets.token_bytes(size)
    assert opened(seal(content)) == content


@given(st.lists(st.binary(max_size=100)))
def test_it_does_not_matter_how_it_was_cut(parts: list[bytes]):
    assert opened(sealed(*parts)) == b"".join(parts)


def test_nothing_of_the_content_can_be_read_in_the_file():
    assert b"secret" not in sealed(b"secret" * 100)


@WAYS
def test_an_older_key_opens_it_too(seal: Seal):
    older = secrets.token_bytes(32)
    assert opened(seal(b"kept", key=older), KEY, older) == b"kept"


@WAYS
def test_another_key_does_not_open_it(seal: Seal):
    with pytest.raises(BrokenFileError, match="Add the key of"):
        opened(seal(b"kept"), secrets.token_bytes(32))


@WAYS
def test_one_flipped_bit_anywhere_is_refused(seal: Seal):
    whole = seal(b"a month of time sheets")
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 1
        with pytest.raises(BrokenFileError):
            opened(bytes(altered))


@LAYOUTS
def test_a_flipped_bit_of_a_later_part_is_refused(seal: Seal, head: int, size: int):
    altered = bytearray(seal(secrets.token_bytes(3 * FRAME)))
    altered[head + size + size // 2] ^= 1
    with pytest.raises(BrokenFileError, match="is damaged, its part 2 was altered"):
        opened(bytes(altered))


@WAYS
def test_a_cut_anywhere_is_refused(seal: Seal):
    whole = seal(b"a month of time sheets")
    for length in range(len(whole)):
        with pytest.raises(BrokenFileError):
            opened(whole[:length])


@LAYOUTS
def test_parts_in_another_order_are_refused(seal: Seal, head: int, size: int):
    whole = seal(secrets.token_bytes(3 * FRAME))
    first, second = whole[head : head + size], whole[head + size : head + 2 * size]
    with pytest.raises(BrokenFileError):
        opened(whole[:head] + second + first + whole[head + 2 * size :])
    with pytest.raises(BrokenFileError):
        opened(whole[:head] + first + first + whole[head + 2 * size :])


@LAYOUTS
def test_a_part_of_another_file_is_refused(seal: Seal, head: int, size: int):
    whole, other = (seal(secrets.token_bytes(3 * FRAME)) for _ in range(2))
    with pytest.raises(BrokenFileError):
        opened(whole[: head + size] + other[head + size : head + 2 * size] + whole[head + 2 * size :])


@LAYOUTS
def test_a_missing_last_part_is_refused(seal: Seal, head: int, size: int):
    whole = seal(secrets.token_bytes(2 * FRAME))
    with pytest.raises(BrokenFileError, match="its end is missing"):
        opened(whole[: head + size])


@WAYS
def test_what_is_added_to_the_end_is_refused(seal: Seal):
    for content in (b"kept", bytes(FRAME)):
        with pytest.raises(BrokenFileError):
            opened(seal(content) + b"x")
