"""Identifiers: time-ordered UUIDs made in Python, and short references for people."""

import secrets
import uuid

from uuid_utils.compat import uuid7

# Letters and digits that are not mistaken for one another when read aloud.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id() -> uuid.UUID:
    """A version 7 UUID: unique, and close in the index to those made around the same time."""
    return uuid7()


def new_reference() -> str:
    """Eight characters a member can say on the telephone, such as `K7QM2XPD`."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def new_token() -> str:
    """An unguessable, URL-safe token of 160 bits."""
    return secrets.token_urlsafe(20)
