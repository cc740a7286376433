"""Availability for showing, from what Redis remembers; what it does not is read and remembered.

Remembered are the stretches that are taken, by resource and week, for half a minute at most and no
longer than until the first of them lapses. A claim never reads this: it may be stale, and `as_of`
says how stale. Redis gone or slow: everything is read directly. Inside a transaction it is, too.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from bookings.availability import (
    Availability,
    Taken,
    assembled,
    availability,
    bookable,
    reach_of,
    taken,
)
from bookings.freshness import version_key
from bookings.rules import Rules, Window
from bookings.usage import Use
from config.kernel import clock
from config.kernel.redis import ask

_WEEK = timedelta(days=7)
_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)
_MOST_PIECES = 1000
_KEPT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is taken of one resource in one week, as it was remembered."""

    version: int
    fresh_until: float
    as_of: datetime
    uses: list[Use]


@dataclass(frozen=True, slots=True)
class _Memory:
    """What Redis answered in one round trip: its clock, versions, and pieces by resource."""

    now: float
    versions: dict[UUID, int]
    pieces: dict[UUID, list[_Piece | None]]

    def knows(self, resource_id: UUID) -> bool:
        return all(
            piece and piece.version == self.versions[resource_id] and self.now < piece.fresh_until
            for piece in self.pieces[resource_id]
        )


def remembered(
    *, rules: Sequence[Rules], start: datetime, end: datetime
) -> dict[UUID, Availability]:
    """As `availability`: one query, or none when all of it is remembered."""
    around = reach_of(rules, start, end)
    weeks = list(_weeks(around))
    found = None
    if settings.AVAILABILITY_CACHE_SECONDS and 0 < len(weeks) * len(rules) <= _MOST_PIECES:
        found = ask(lambda client: _recall(client, [r.resource_id for r in rules], weeks), None)
    if found is None:
        return availability(rules=rules, start=start, end=end)
    unknown = [r.resource_id for r in rules if not found.knows(r.resource_id)]
    read = _read_and_keep(unknown, weeks, found) if unknown else {}
    return {
        r.resource_id: assembled(r, Window(start, end), *_joined(read, found, r.resource_id))
        for r in rules
    }


def next_of_many(rules: Sequence[Rules], duration_seconds: int) -> dict[UUID, Window | None]:
    """The next window of each resource that is free for so long, within two weeks."""
    if not rules:
        return {}
    now = clock.now()
    known = remembered(rules=rules, start=now, end=now + 2 * _WEEK)
    return {pk: next(bookable(found, duration_seconds), None) for pk, found in known.items()}


def _weeks(around: Window) -> Iterator[datetime]:
    """The beginnings of the weeks that a range touches, by UTC's Mondays."""
    week = _MONDAY + (around.start - _MONDAY) // _WEEK * _WEEK
    while week < around.end:
        yield week
        week += _WEEK


def _joined(
    read: dict[UUID, tuple[datetime, list[Use]]], found: _Memory, resource_id: UUID
) -> tuple[list[Use], datetime]:
    """Uses of all weeks, each once: one that began before its week is told by the first only."""
    if resource_id in read:
        as_of, uses = read[resource_id]
        return uses, as_of
    pieces = [piece for piece in found.pieces[resource_id] if piece]
    return [use for piece in pieces for use in piece.uses], min(p.as_of for p in pieces)


def _recall(client: Any, ids: list[UUID], weeks: list[datetime]) -> _Memory:
    keys = [version_key(each) for each in ids]
    keys += [_key(each, week) for each in ids for week in weeks]
    with client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.mget(keys)
        (seconds, micros), values = pipe.execute()
    versions = {each: int(value or 0) for each, value in zip(ids, values, strict=False)}
    pieces = iter(values[len(ids) :])
    return _Memory(
        seconds + micros / 1e6,
        versions,
        {
            each: [_piece(next(pieces), n == 0, week) for n, week in enumerate(weeks)]
            for each in ids
        },
    )


def _key(resource_id: UUID, week: datetime) -> str:
    return f"taken:{resource_id}:{week:%Y%m%d}"


def _piece(value: bytes | None, is_first: bool, week: datetime) -> _Piece | None:
    if value is None:
        return None
    version, fresh_until, as_of, uses = json.loads(value)
    return _Piece(
        version,
        fresh_until,
        _moment(as_of),
        [
            Use(Window(_moment(start), _moment(end)), quantity)
            for start, end, quantity in uses
            if is_first or _moment(start) >= week
        ],
    )


def _read_and_keep(
    ids: list[UUID], weeks: list[datetime], found: _Memory
) -> dict[UUID, tuple[datetime, list[Use]]]:
    """Read whole weeks of the resources that are not known, with one query, and remember them."""
    span = Window(weeks[0], weeks[-1] + _WEEK)
    as_of, rows = taken(ids, span)
    by_resource: dict[UUID, list[Taken]] = {each: [] for each in ids}
    for row in rows:
        by_resource[row.resource_id].append(row)
    kept = {
        _key(each, week): _packed(by_resource[each], week, as_of, found.versions[each], found.now)
        for each in ids
        for week in weeks
    }
    ask(lambda client: _keep(client, kept), None)
    return {each: (as_of, [row.use for row in by_resource[each]]) for each in ids}


def _packed(rows: list[Taken], week: datetime, as_of: datetime, version: int, now: float) -> str:
    within = Window(week, week + _WEEK)
    here = [row for row in rows if row.use.window.overlaps(within)]
    lapses = [(row.lapses_at - as_of).total_seconds() for row in here if row.lapses_at]
    fresh = min([settings.AVAILABILITY_CACHE_SECONDS, *lapses])
    uses = [(_micros(r.use.window.start), _micros(r.use.window.end), r.use.quantity) for r in here]
    return json.dumps((version, now + fresh, _micros(as_of), uses))


def _keep(client: Any, kept: dict[str, str]) -> None:
    with client.pipeline(transaction=False) as pipe:
        for key, value in kept.items():
            pipe.set(key, value, ex=_KEPT_SECONDS)
        pipe.execute()


def _micros(moment: datetime) -> int:
    return (moment - _MONDAY) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return _MONDAY + timedelta(microseconds=micros)
