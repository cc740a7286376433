"""Request ids that pages put into every changing form: issued by us, so that nobody makes them up.

They are idempotency keys (INV-8): a double click or a reload sends the same one again.
"""

import uuid

from django.core import signing

from config.kernel.errors import InvalidInput

_SALT = "members.request-id"


def issue() -> str:
    """A new request id, signed."""
    return signing.Signer(salt=_SALT).sign(uuid.uuid4().hex)


def check(value: str) -> str:
    """The id if we issued it; raises InvalidInput naming `request_id` otherwise."""
    try:
        return signing.Signer(salt=_SALT).unsign(value)
    except signing.BadSignature:
        raise InvalidInput(
            "This form is not one of ours or is damaged. Load the page again.", field="request_id"
        ) from None
