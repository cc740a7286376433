"""What logs must not keep: addresses that let their bearer in."""

import logging
import re

# Part of a path that is long enough to be a token; ids of things are no secret.
_PART = re.compile(
    r"(?<=/)(?![0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)([\w:~=-]{6})[\w:~=-]{14,}"
)


def without_tokens(path: str) -> str:
    """The path with what may be a token cut short: `/b/5f2c1a…/`."""
    return _PART.sub(r"\1…", path)


class WithoutTokens(logging.Filter):
    """On the handler, so that it holds for Django's own lines about requests as well."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                without_tokens(each) if isinstance(each, str) and each.startswith("/") else each
                for each in record.args
            )
        return True
