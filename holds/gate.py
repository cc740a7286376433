"""The contention gate: of a crowd that wants one slot, few come before the database (design.md §5).

While a claim is being decided, Redis knows which windows of which resources it asks for. Whoever
asks for a window that overlaps one of them waits a moment for that decision, without a database
connection. It sheds losers early and nothing else: the database decides, and where Redis is slow or
gone the gate stands open. ADR 7 says why it is what it is.

It knows windows as members ask for them. Where only the buffers of two meet, both come through.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection

from bookings import freshness
from bookings.errors import SlotTaken
from bookings.rules_query import mode_of
from config.kernel.errors import DomainError
from config.kernel.redis import Script, ask
from holds.crowds import Crowds
from holds.subjects import LineRequest

T = TypeVar("T")
crowds = Crowds()

# As long as a claim may take, lock timeouts included; the gate of a process that died opens then.
DECIDING_MS = 3000
# How long those who come after a decision are sent to look first, at a room that somebody got, or
# go one after the other, at a pool that had too little left.
MARK_MS = 10_000
WAITS_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.15, 0.2, 0.25, 0.25)

# One look without a lock: somebody else's live claim on an exclusive resource.
_STANDS = """
    SELECT EXISTS (
        SELECT 1 FROM bookings_occupancy o
        WHERE o.exclusive AND o.resource_id = %(resource)s AND o.released_at IS NULL
          AND o.during && tstzrange(%(start)s, %(end)s)
          AND (o.lapses_at IS NULL OR o.lapses_at > clock_timestamp())
          AND NOT EXISTS (
              SELECT 1 FROM holds_hold h WHERE h.booking_id = o.booking_id AND h.state = 'active'
                AND (h.visitor = nullif(%(visitor)s, '') OR h.member_id = %(member)s::uuid)))
"""


class SlotContended(DomainError):
    """409, never stored: the same request may be answered otherwise in a second."""

    code = "slot_contended"
    status = 409
    detail = "Somebody else is asking for that time right now. Try again in a second."
    retry_after_seconds = 1

    @property
    def is_final(self) -> bool:
        return False


class _Found(StrEnum):
    """In; somebody is deciding; somebody got this window; or one that lies over it."""

    PASSED = "passed"
    DECIDING = "deciding"
    TAKEN = "taken"
    OVERLAID = "overlaid"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for which lines. An `owner` is never held back by a claim of their own.

    A browser's or a member's own holds are not in their own way. `replaces` says the same of holds
    that are named by token: nobody tells them that a slot is taken but the claim itself.
    """

    workspace_id: UUID
    lines: Sequence[LineRequest]
    owner: str
    visitor: str = ""
    member_id: UUID | None = None
    replaces: bool = False


def through(attempt: Callable[[], T], *, asked: Asked, refuse: Callable[[SlotTaken], T]) -> T:
    """Attempt a claim when its turn comes. `refuse` answers who lost to a hold that stands.

    Raises SlotContended (409) when others are still deciding after a second. Must run outside of
    any transaction, else the gate stands open.
    """
    gated = _gated(asked.lines) if settings.CONTENTION_GATE else []
    if not gated:
        return attempt()
    entry = _Entry(asked, gated, uuid.uuid4().hex)
    is_wanted = crowds.enter(gated)
    try:
        return _when_asked(entry, attempt, refuse) if is_wanted else _decided(entry, attempt)
    finally:
        crowds.leave(gated)


def _when_asked(entry: "_Entry", attempt: Callable[[], T], refuse: Callable[[SlotTaken], T]) -> T:
    """The way of everybody who is not alone."""
    crowds.lost(entry.lines)
    found = _turn(entry.take)
    if found is _Found.TAKEN:
        if _stands(entry.asked, entry.lines[0]):
            return refuse(SlotTaken(line=0))
        found = _turn(entry.take_anyway)
    return _decided(entry, attempt) if found is _Found.PASSED else attempt()


def _gated(lines: Sequence[LineRequest]) -> list[LineRequest]:
    """Lines of resources that this process has met: of the others nothing is known to go by."""
    return [line for line in lines if mode_of(line.resource_id)]


def _turn(take: Callable[[], _Found | None]) -> _Found | None:
    """Ask again with growing pauses. Who waits holds no database connection."""
    found = take()
    for seconds in WAITS_SECONDS:
        if found is not _Found.DECIDING:
            return found
        if not connection.in_atomic_block:
            connection.close()
        time.sleep(seconds)
        found = take()
    if found is _Found.DECIDING:
        raise SlotContended
    return found


def _stands(asked: Asked, line: LineRequest) -> bool:
    """Whether somebody else has it indeed: Redis only said where to look."""
    values: dict[str, Any] = {
        "resource": line.resource_id,
        "start": line.start,
        "end": line.end,
        "visitor": asked.visitor,
        "member": asked.member_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(_STANDS, values)
        return bool(cursor.fetchone()[0])


def _decided(entry: "_Entry", attempt: Callable[[], T]) -> T:
    status = 0
    with freshness.gathered() as changed:
        try:
            answer = attempt()
            status = _status(answer)
            return answer
        finally:
            if status == 409:
                crowds.lost(entry.lines)
            entry.leave(status, changed)


def _status(answer: object) -> int:
    """The HTTP status of an API's response or of an idempotency record's answer."""
    return getattr(answer, "status_code", 0) or getattr(answer, "status", 0)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One attempt at the gate, by a token of its own."""

    asked: Asked
    lines: list[LineRequest]
    token: str

    def take(self) -> _Found | None:
        """Come in, or what is in the way; None when Redis has no say."""
        return self._asked_for("look" if self._may_be_told else "go on")

    def take_anyway(self) -> _Found | None:
        """Come in past the mark of somebody who does not have it any more."""
        return self._asked_for("ignore")

    def leave(self, status: int, changed: Iterable[UUID] = ()) -> None:
        """After commit or rollback: what this attempt took and nobody else's, with a mark.

        Who won has it. Who was refused alone met somebody who has it, or too little of a pool.
        The versions of what has `changed` go along: one round trip for both.
        """
        is_known = status == 201 or (status == 409 and len(self.lines) == 1)
        mark = {201: "won", 409: "refused"}[status] if is_known else ""
        arguments = [self.token, mark, MARK_MS, len(self.lines), *self._windows()]
        keys = self._keys() + [freshness.version_key(each) for each in changed]
        ask(lambda client: _LEAVE(client, keys, arguments), None)

    @property
    def _may_be_told(self) -> bool:
        """Whether a look at one window settles it: one room, and no hold of theirs in the way."""
        (first, *_) = self.lines
        is_single = len(self.asked.lines) == 1 and mode_of(first.resource_id) == "exclusive"
        return is_single and not self.asked.replaces

    def _asked_for(self, marks: str) -> _Found | None:
        arguments = [self.token, self.asked.owner, DECIDING_MS, marks, *self._windows()]
        found = ask(lambda client: _TAKE(client, self._keys(), arguments), None)
        return _Found(found.decode()) if found else None

    def _keys(self) -> list[str]:
        return [f"gate:{self.asked.workspace_id}:{line.resource_id}" for line in self.lines]

    def _windows(self) -> list[Any]:
        return [
            each
            for line in self.lines
            for each in (_ms(line.start), _ms(line.end), mode_of(line.resource_id))
        ]


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


# A resource's key is a hash of what is going on there: "<kind> <owner> <start> <end> <until>" by
# the token of the attempt. Windows are compared as they are; the hash has as many as there are
# claims under way, and what is over is swept by whoever looks.
_EACH = """
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
    local function each(key, start, finish, visit)
        local all = redis.call('HGETALL', key)
        for i = 1, #all, 2 do
            local kind, owner, from, to, till =
                string.match(all[i + 1], '^(%S+) (%S*) (%-?%d+) (%-?%d+) (%d+)$')
            if tonumber(till) <= now then
                redis.call('HDEL', key, all[i])
            elseif tonumber(from) < finish and start < tonumber(to) then
                visit(kind, owner, tonumber(from) == start and tonumber(to) == finish)
            end
        end
    end
    local function put(key, field, kind, owner, start, finish, ms)
        local value = kind .. ' ' .. owner .. ' ' .. start .. ' ' .. finish .. ' '
            .. string.format('%d', now + ms)
        redis.call('HSET', key, field, value)
        redis.call('PEXPIRE', key, 60000)
    end
"""
_TAKE = Script(
    _EACH
    + """
    local token, me, ms, marks = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
    local entered, overlaid, contended = {}, false, false
    for i, key in ipairs(KEYS) do
        local start, finish, mode = ARGV[2 + 3 * i], ARGV[3 + 3 * i], ARGV[4 + 3 * i]
        local deciding, exact, closed = false, false, mode == 'exclusive'
        each(key, tonumber(start), tonumber(finish), function(kind, owner, same)
            if kind == 'scarce' then closed = true
            elseif kind == 'taken' then
                overlaid, exact = true, exact or same
            elseif owner ~= me then deciding = true end
        end)
        if exact and marks == 'look' then return 'taken' end
        if deciding and closed then contended = true end
        if closed then entered[#entered + 1] = {key, start, finish} end
    end
    if overlaid and marks ~= 'ignore' then return 'overlaid' end
    if contended then return 'deciding' end
    for _, it in ipairs(entered) do put(it[1], token, 'deciding', me, it[2], it[3], ms) end
    return 'passed'
"""
)
_LEAVE = Script(
    _EACH
    + """
    local token, mark, ms, gates = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
    for i = gates + 1, #KEYS do redis.call('INCR', KEYS[i]) end
    for i = 1, gates do
        local key = KEYS[i]
        local start, finish, mode = ARGV[2 + 3 * i], ARGV[3 + 3 * i], ARGV[4 + 3 * i]
        local field = start .. ' ' .. finish
        redis.call('HDEL', key, token)
        if mark ~= '' and mode == 'exclusive' then
            put(key, field, 'taken', '', start, finish, ms)
        elseif mark == 'refused' then
            put(key, field, 'scarce', '', start, finish, ms)
        end
    end
    return 1
"""
)
