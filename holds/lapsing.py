"""Tidying away what has lapsed, in batches that claims hardly notice.

Nothing depends on it: reads ignore lapsed holds and claims supersede them (design.md §5). So it
never stands in the way of a claim: a batch takes the resources that nobody has locked at this
moment, is over within some tens of milliseconds, and the next batch is of other resources. What
could not be had comes again at the end of the run, with a short wait; after that it is the next
run's.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import TypeVar
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db import OperationalError, connection, transaction
from django.db.models import OuterRef, Q, QuerySet

from bookings import lock_objects
from bookings.models import Occupancy
from config.kernel import clock
from config.kernel.locks import DEADLOCK, retried_on_deadlock, sqlstate
from holds import ending
from holds.models import Hold
from holds.states import ACTIVE

T = TypeVar("T")

log = logging.getLogger(__name__)

# What one transaction ends, and on how many resources: so long has a claim there to wait at most.
BATCH = 40
MOST_RESOURCES = 4
# For each second of work so many without: claims have the machine to themselves in between.
REST = 0.5
# What is looked up at a time, to be sorted by resource.
PAGE = 2000
LOCK_TIMEOUT_MS = 200
_NO_LOCK = "55P03"


@dataclass(frozen=True, slots=True)
class _Lapsed:
    """A hold that seemed to have lapsed, and the resources on which its booking has something."""

    hold_id: UUID
    booking_id: UUID
    lapses_at: datetime
    is_plain: bool
    resources: tuple[UUID, ...]


@dataclass(slots=True)
class _Run:
    """One run: until when (by `time.monotonic`), what it ended, and what it could not have."""

    until: float
    ended: int = 0
    left: list[_Lapsed] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until

    def each(self, work: "Callable[[_Run, T], None]", those: Iterable[T]) -> None:
        """Work on each as long as there is time, and rest in between."""
        for that in those:
            if self.is_over:
                return
            began = time.monotonic()
            work(self, that)
            time.sleep(REST * (time.monotonic() - began))


def expire_lapsed(*, limit: int | None = 1000, seconds: float = 60.0) -> int:
    """Tidy holds whose time is up, the oldest first; returns how many ended.

    It looks at `limit` holds at most (None: at all there are), each once, and begins nothing new
    after so many seconds. A batch that fails goes one by one; one that cannot be ended now is
    logged and left for the next time; the others go on.
    """
    run = _Run(time.monotonic() + seconds)
    for page in _pages(limit):
        run.each(_expire, _batches(each for each in page if each.is_plain))
        run.each(_expire_alone, (each for each in page if not each.is_plain))
        if run.is_over:
            break
    run.each(_expire_waiting, _batches(run.left))
    return run.ended


# --- What there is ------------------------------------------------------------------------------


def _pages(limit: int | None) -> Iterator[list[_Lapsed]]:
    """All that has lapsed by now, the oldest first, each once."""
    lapsed = Hold.objects.filter(state=ACTIVE, lapses_at__lte=clock.now())
    after, left = Q(), limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = _page(lapsed.filter(after), size)
        if page:
            yield page
        if len(page) < size:
            return
        last, left = page[-1], None if left is None else left - size
        after = Q(lapses_at__gte=last.lapses_at) & (
            Q(lapses_at__gt=last.lapses_at) | Q(pk__gt=last.hold_id)
        )


def _page(lapsed: QuerySet[Hold], size: int) -> list[_Lapsed]:
    taken = Occupancy.objects.filter(booking=OuterRef("booking")).order_by("resource_id")
    columns = lapsed.order_by("lapses_at", "pk").values_list(
        "pk",
        "booking_id",
        "lapses_at",
        "change_id",
        "booking__requested_at",
        ArraySubquery(taken.values("resource_id").distinct()),
    )
    return [
        _Lapsed(hold, booking, lapses_at, change is None and requested is None, tuple(resources))
        for hold, booking, lapses_at, change, requested, resources in columns[:size]
    ]


def _batches(lapsed: Iterable[_Lapsed]) -> Iterator[list[_Lapsed]]:
    """Batches of few resources, in turn: who waits for one of these comes in between."""
    by_resources: dict[tuple[UUID, ...], list[_Lapsed]] = defaultdict(list)
    for each in lapsed:
        by_resources[each.resources].append(each)
    cut = [
        [alike[start : start + BATCH] for start in range(0, len(alike), BATCH)]
        for alike in by_resources.values()
    ]
    for turn in zip_longest(*cut, fillvalue=[]):
        yield from _together([part for part in turn if part])


def _together(parts: Iterable[list[_Lapsed]]) -> Iterator[list[_Lapsed]]:
    """Small ones of several resources make one batch."""
    batch: list[_Lapsed] = []
    resources: set[UUID] = set()
    for part in parts:
        more = resources.union(part[0].resources)
        if batch and (len(batch) + len(part) > BATCH or len(more) > MOST_RESOURCES):
            yield batch
            batch, more = [], set(part[0].resources)
        batch, resources = batch + part, more
    if batch:
        yield batch


# --- Ending it ----------------------------------------------------------------------------------


def _expire(run: _Run, batch: list[_Lapsed]) -> None:
    """End those of a batch whose resources are free to lock now; the others are left for later."""
    try:
        had = _ended_where_free([each.booking_id for each in batch], run)
    except Exception as error:
        if _is_held_up(error):
            run.left += batch
        else:
            _one_by_one(run, batch, error)
        return
    run.left += [each for each in batch if each.booking_id not in had]


def _expire_waiting(run: _Run, batch: list[_Lapsed]) -> None:
    """The same where somebody had the locks before: with a short wait, and then not in this run."""
    try:
        _ended_after_a_wait([each.booking_id for each in batch], run)
    except Exception as error:
        if _is_held_up(error):
            ids = ", ".join(str(each.booking_id) for each in batch)
            log.warning("Others are at the resources of lapsed holds; left for now: %s", ids)
        else:
            _one_by_one(run, batch, error)


def _ended_where_free(booking_ids: list[UUID], run: _Run) -> set[UUID]:
    """Returns the bookings of which it had the resources, whether there was something to end."""
    with transaction.atomic():
        _be_brief()
        had = lock_objects.lock_free_resources_of(booking_ids)
        ended = ending.expire_together_locked(had)
    run.ended += ended
    return set(had)


@retried_on_deadlock
def _ended_after_a_wait(booking_ids: list[UUID], run: _Run) -> None:
    with transaction.atomic():
        _be_brief()
        lock_objects.lock_resources_of(booking_ids)
        ended = ending.expire_together_locked(booking_ids)
    run.ended += ended


def _be_brief() -> None:
    """For this transaction: claims come behind it in the queue for a lock, and behind its commit.

    It is not waited for until it is on the disk. What is lost by a crash has lapsed all the same,
    and whatever builds on it is written to the disk behind it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true),"
            " set_config('synchronous_commit', 'off', true)",
            [f"{LOCK_TIMEOUT_MS}ms"],
        )


def _is_held_up(error: Exception) -> bool:
    return isinstance(error, OperationalError) and sqlstate(error) in {_NO_LOCK, DEADLOCK}


def _one_by_one(run: _Run, batch: list[_Lapsed], error: Exception) -> None:
    """One of them is the matter, and is not known yet: it must not keep the others."""
    log.warning("Lapsed holds could not be ended together and go one by one: %s", error)
    run.each(_expire_alone, batch)


def _expire_alone(run: _Run, lapsed: _Lapsed) -> None:
    try:
        run.ended += _expire_one(lapsed.booking_id)
    except Exception:
        log.exception("The hold of booking %s could not be expired", lapsed.booking_id)


@retried_on_deadlock
def _expire_one(booking_id: UUID) -> int:
    with transaction.atomic():
        lock_objects.lock_resources_of([booking_id])
        return ending.expire_locked([booking_id])
