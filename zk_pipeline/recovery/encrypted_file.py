"""Sealed files: encrypted and authenticated as a stream, so that a flipped byte, a swapped part or a cut is refused.

The format: a magic line, a salt, then frames of a length (4 bytes) and an AES-256-GCM ciphertext. Each frame is bound
to its place in its file, and the last one says that it is the last.
"""

import secrets
import struct
from collections.abc import Iterator, Sequence
from itertools import count
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from zk_pipeline.store.encryption import EncryptionError

MAGIC = b"zk sealed 1\n"
FRAME = 1 << 20
"""Bytes of plain text in a frame."""

_SALT = 16
_TAG = 16
_LENGTH = struct.Struct(">I")
_MORE, _LAST = b"\x00", b"\x01"


class SealBrokenError(EncryptionError):
    """The file is not what was written: altered, cut off, or sealed with a key that is not given."""


class SealedWriter:
    """Seals what is written to it; only `finish` makes the file complete."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        salt = secrets.token_bytes(_SALT)
        self._file = file
        self._cipher = AESGCM(_file_key(key, salt))
        self._places = count()
        self._waiting = bytearray()
        file.write(MAGIC + salt)

    def write(self, data: bytes) -> None:
        """Seal more bytes."""
        self._waiting += data
        # What is held back makes sure that the last frame, however short, is written by `finish`.
        while len(self._waiting) > FRAME:
            self._frame(bytes(self._waiting[:FRAME]), _MORE)
            del self._waiting[:FRAME]

    def finish(self) -> None:
        """Seal the end."""
        self._frame(bytes(self._waiting), _LAST)
        self._waiting.clear()

    def _frame(self, data: bytes, kind: bytes) -> None:
        sealed = self._cipher.encrypt(_nonce(next(self._places)), data, kind)
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)


def unsealed(file: IO[bytes], keys: Sequence[bytes], name: str) -> Iterator[bytes]:
    """The plain bytes of a sealed file, in parts; `name` is how messages call it. Raises `SealBrokenError`."""
    if file.read(len(MAGIC)) != MAGIC:
        raise SealBrokenError(f"{name} is no file that zk sealed. Name a backup made by zk backup.")
    salt = file.read(_SALT)
    ciphers = [AESGCM(_file_key(key, salt)) for key in keys]
    for place in count():
        sealed = _read_frame(file, name)
        ciphers, data, last = _opened(ciphers, place, sealed, name)
        yield data
        if last:
            break
    if file.read(1):
        raise _broken(name, "something was added to its end")


def _opened(ciphers: list[AESGCM], place: int, sealed: bytes, name: str) -> tuple[list[AESGCM], bytes, bool]:
    """The frame's bytes, and the one key that fits, which all later frames must fit too."""
    for cipher in ciphers:
        for kind in (_MORE, _LAST):
            try:
                return [cipher], cipher.decrypt(_nonce(place), sealed, kind), kind is _LAST
            except InvalidTag:
                continue
    if place == 0:
        raise SealBrokenError(
            f"{name} cannot be opened: none of the keys in ZK_ENCRYPTION_KEY made it, or it was altered. Add the key "
            "of that time, or take another backup."
        )
    raise _broken(name, f"its part {place + 1} was altered")


def _read_frame(file: IO[bytes], name: str) -> bytes:
    header = file.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise _broken(name, "its end is missing")
    (length,) = _LENGTH.unpack(header)
    if not _TAG <= length <= FRAME + _TAG:
        raise _broken(name, "the length of a part was altered")
    sealed = file.read(length)
    if len(sealed) < length:
        raise _broken(name, "its end is missing")
    return sealed


def _broken(name: str, what: str) -> SealBrokenError:
    return SealBrokenError(f"{name} is damaged: {what}. Nothing of it is used. Take another backup.")


def _file_key(key: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, b"zk sealed file").derive(key)


def _nonce(place: int) -> bytes:
    return place.to_bytes(12, "big")
