"""Checks that a delivery was signed with the shared token (docs/zammad.md §7)."""

import hashlib
import hmac
import re

_HEADER = re.compile(r"sha1=(?P<digest>[0-9a-f]{40})", re.IGNORECASE | re.ASCII)


def is_signed(secret: str, body: bytes, header: str) -> bool:
    """Whether `X-Hub-Signature` is the HMAC-SHA1 of exactly these bytes, compared in constant time.

    Check it before parsing the body: JSON that was serialized again does not verify.
    """
    found = _HEADER.fullmatch(header)
    if found is None:
        return False
    return hmac.compare_digest(signature(secret, body), f"sha1={found['digest'].lower()}")


def signature(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature` for a body, as Zammad writes it."""
    return f"sha1={hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()}"
