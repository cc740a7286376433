"""What a check is: a name, a query in pages, what it heals and what it only reports."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.db import connection

from payments.models import Finding

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

HIGH = Finding.Severity.HIGH
MEDIUM = Finding.Severity.MEDIUM
LOW = Finding.Severity.LOW

Cursor = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that should not be. `kind` and subject name its cause.

    A cause that staff dismissed or gave credit for stays silent until its `fingerprint` (a sum, a
    status) changes; one that stands open is told as it is by then.
    """

    kind: str
    severity: str
    subject_type: str
    subject_id: str
    summary: str
    workspace_id: UUID | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    done: str = ""

    @property
    def cause(self) -> tuple[str, str, str]:
        return self.kind, self.subject_type, self.subject_id


@dataclass(frozen=True, slots=True)
class Page:
    """One bounded look: how many rows it covered, what it saw, and where to go on.

    `cursor` is None when that was all; `healed` counts what looking itself has put right.
    """

    looked_at: int
    seen: list[Seen]
    cursor: Cursor | None = None
    healed: int = 0


class Check:
    """One thing that is looked after.

    A pass starts at `start`, goes on page by page through `look` and may take several runs; each
    run ends after `seconds`. `kinds` are this check's alone: when a whole pass has not seen an
    open finding of theirs again, and `is_gone` agrees, it is closed.
    """

    name: ClassVar[str]
    looks_for: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    heals: ClassVar[str] = ""
    interval: ClassVar[timedelta] = HOUR
    batch: ClassVar[int] = 500
    seconds: ClassVar[int] = 20  # for heals as well
    # How many findings that a pass has not seen again are asked about one by one, where they are.
    asks: ClassVar[int] = 500
    # Whether a dismissed cause may be told of again (a table that is late once more).
    recurs: ClassVar[bool] = False

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        """The cursor of a new pass. `before` is what the last whole pass left, `since` staff's.

        What one pass looks at and the next ones do not again goes on where the last one ended,
        however late `since` is: else there would be a gap.
        """
        return {}

    def look(self, cursor: Cursor) -> Page:
        """The next page. Calls to Stripe are allowed: no transaction is open."""
        raise NotImplementedError

    def left(self, cursor: Cursor) -> Cursor:
        """What a whole pass leaves for the next one's `start`."""
        return {}

    def heal(self, seen: Seen) -> str:
        """Put it right: what was done, once it *is* right; empty when it only could be tried."""
        return ""

    def is_gone(self, finding: Finding) -> bool:
        """Whether a finding that a whole pass has not seen again is over."""
        return True


_BOUNDS = """
    SELECT count(*) AS many, (array_agg(id ORDER BY id DESC))[1] AS upto
    FROM (SELECT id FROM {table} WHERE id > %(after)s ORDER BY id LIMIT %(batch)s) page
"""


def bounds_of(table: str, *, after: Any, batch: int) -> dict[str, Any]:
    """The next page of a table by id: how many rows it has (`many`), and its last id (`upto`)."""
    return rows(_BOUNDS.format(table=table), {"after": after, "batch": batch})[0]


def rows(sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """A query's rows by column name."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
