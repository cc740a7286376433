"""Versions as entity tags, and If-Match as RFC 9110 has it (§8.8.3, §13.1.1).

A booking's tag is its version. If-Match compares strongly: a weak tag matches nothing. What is
asked here is only which version the caller means; services compare it under the booking's lock.
"""

import re
from dataclasses import dataclass

from rest_framework.request import Request
from rest_framework.response import Response

from config.kernel.errors import InvalidInput

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*(?:,[ \t]*)+{_TAG})*[ \t,]*")
_OURS = re.compile(r'(?<!W/)"(0|[1-9][0-9]{0,8})"', re.ASCII)
_MOST = 1000  # characters; nobody has read so many versions of one booking
# What no booking's version is: a tag that is not ours, or a weak one, matches nothing.
_NEVER = -1


def etag(version: int) -> str:
    """A booking's version as an entity tag."""
    return f'"{version}"'


def tagged(response: Response) -> Response:
    """An answer that is a booking as it is now carries its tag."""
    if response.status_code == 200:
        response["ETag"] = etag(response.data["version"])
    return response


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The versions that a caller would change; None: whichever there is."""

    versions: tuple[int, ...] | None

    @classmethod
    def of(cls, request: Request) -> "IfMatch":
        """Raises InvalidInput for a header that is no list of entity tags."""
        given = request.headers.get("If-Match")
        if given is None or given.strip() == "*":
            return cls(None)
        if len(given) > _MOST or not _TAGS.fullmatch(given):
            raise InvalidInput('Entity tags in quotes, such as "3", or *.', field="If-Match")
        return cls(tuple(sorted({int(number) for number in _OURS.findall(given)})))

    def expected(self, version: int) -> int | None:
        """The version that must be there under the lock: `version`, as just read, if it is meant.

        None: any. One that never is, where the caller means another.
        """
        if self.versions is None:
            return None
        return version if version in self.versions else _NEVER
