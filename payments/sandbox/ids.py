"""Identifiers that look like Stripe's."""

from __future__ import annotations

import random
import string

_ALPHABET = string.ascii_letters + string.digits
_random = random.SystemRandom()

_LENGTHS = {"acct": 16, "cs_test": 58, "cus": 14, "we": 24, "whsec": 32, "req": 14}


def new_id(prefix: str) -> str:
    """A fresh identifier, such as ``pi_3Nq…`` for ``pi``."""
    length = _LENGTHS.get(prefix, 24)
    return f"{prefix}_" + "".join(_random.choices(_ALPHABET, k=length))
