"""The one failure that a person at a terminal sees."""


class CannotStartError(Exception):
    """Something that Surehold needs is not there; the message is one clear line about it."""
