"""What the tests of outgoing webhooks share: the receiving server."""

from tests.support.receiver import _receiving, receiver

__all__ = ["_receiving", "receiver"]
