"""Many clients of the API at once, and what the database says of them afterwards."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from bookings.models import Resource
from config.api import rfc3339
from tests.core.raw import connect, sql
from tests.factories import at
from tests.support.instances import Instance

TIMEOUT_SECONDS = 60
# Rows of a booking's lines, and not of the constrained table, so that the audit can fail.
OVERLAPPING_LINES = """
    SELECT count(*) FROM bookings_line a JOIN bookings_line b
      ON a.resource_id = b.resource_id AND a.id < b.id
     AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at)
    JOIN bookings_booking x ON x.id = a.booking_id JOIN bookings_booking y ON y.id = b.booking_id
    WHERE x.state = ANY (%s) AND y.state = ANY (%s)
"""
LIVE = ["pending_payment", "confirmed"]


@dataclass
class Answers:
    """What a crowd was told: statuses with codes, the holds that were had, and how long it took."""

    kinds: Counter[str] = field(default_factory=Counter)
    holds: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, response: httpx.Response, seconds: float) -> None:
        self.seconds.append(seconds)
        if response.status_code == 201:
            self.kinds["201"] += 1
            self.holds.append(response.json()["id"])
        elif response.status_code == 204:
            self.kinds["204"] += 1
        else:
            self.kinds[f"{response.status_code} {response.json().get('code')}"] += 1

    def figures(self) -> str:
        ordered = sorted(self.seconds)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        counts = ", ".join(f"{kind}: {n}" for kind, n in sorted(self.kinds.items()))
        return (
            f"{len(ordered)} requests; {counts}; median {statistics.median(ordered) * 1000:.0f} ms,"
            f" p99 {p99 * 1000:.0f} ms, slowest {ordered[-1] * 1000:.0f} ms"
        )


class Crowd:
    """Clients that share a secret key and go to the instances in turn."""

    def __init__(self, instances: Sequence[Instance], secret: str) -> None:
        self.instances = instances
        self.urls = [instance.url for instance in instances]
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.answers = Answers()
        self._turn = 0

    def run(self, script: Callable[["Crowd", httpx.AsyncClient], Awaitable[None]]) -> Answers:
        async def together() -> None:
            limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits) as client:
                await script(self, client)

        # In a thread of its own: the browser tests leave their loop running in the main one.
        with ThreadPoolExecutor(max_workers=1) as aside:
            aside.submit(asyncio.run, together()).result()
        return self.answers

    def deadlocks(self) -> int:
        """The database's count, once the processes have gone and their sessions have reported."""
        for instance in self.instances:
            instance.stop()
        return deadlocks()

    async def claim(
        self,
        client: httpx.AsyncClient,
        room: UUID,
        start: datetime,
        end: datetime,
        quantity: int = 1,
    ) -> httpx.Response:
        line: dict[str, Any] = {"resource": str(room), "start": rfc3339(start)}
        line |= {"end": rfc3339(end), "quantity": quantity}
        headers = {**self.headers, "Idempotency-Key": str(uuid4())}
        return await self._sent(
            client, "POST", "/api/v1/holds", json={"lines": [line]}, headers=headers
        )

    async def let_go(self, client: httpx.AsyncClient, hold_id: str) -> httpx.Response:
        return await self._sent(client, "DELETE", f"/api/v1/holds/{hold_id}", headers=self.headers)

    async def _sent(
        self, client: httpx.AsyncClient, method: str, path: str, **options: Any
    ) -> httpx.Response:
        self._turn += 1
        url = self.urls[self._turn % len(self.urls)]
        began = time.monotonic()
        response = await client.request(method, url + path, **options)
        self.answers.add(response, time.monotonic() - began)
        return response


# --- Scripts ------------------------------------------------------------------------------------


def at_once(
    room: Resource, count: int, in_the_middle: Callable[[], object]
) -> Callable[[Crowd, httpx.AsyncClient], Awaitable[None]]:
    """`count` claims on one slot, none waiting for another's answer."""

    async def script(crowd: Crowd, client: httpx.AsyncClient) -> None:
        claims = [
            asyncio.create_task(crowd.claim(client, room.pk, at(9), at(10))) for _ in range(count)
        ]
        while sum(claim.done() for claim in claims) < count // 3:
            await asyncio.sleep(0.001)
        in_the_middle()
        await asyncio.gather(*claims)

    return script


def sustained(
    room: Resource, seconds: float, rate: float, in_the_middle: Callable[[], object]
) -> Callable[[Crowd, httpx.AsyncClient], Awaitable[None]]:
    """`rate` claims a second on one slot, sent on time whether the earlier ones were answered."""

    async def script(crowd: Crowd, client: httpx.AsyncClient) -> None:
        began, claims = time.monotonic(), []
        total = int(seconds * rate)
        for number in range(total):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            claims.append(asyncio.create_task(crowd.claim(client, room.pk, at(9), at(10))))
            if number == total // 2:
                in_the_middle()
        await asyncio.gather(*claims)

    return script


def arbitrary_windows(
    rooms: Sequence[Resource], seconds: float, clients: int, in_the_middle: Callable[[], object]
) -> Callable[[Crowd, httpx.AsyncClient], Awaitable[None]]:
    """Each client claims windows of any length over each other, and lets some of them go again."""

    async def script(crowd: Crowd, client: httpx.AsyncClient) -> None:
        until = time.monotonic() + seconds

        async def one(seed: int) -> None:
            chance = random.Random(seed)
            while time.monotonic() < until:
                start = at(chance.randrange(0, 14 * 4) / 4)
                end = start + timedelta(minutes=15 * chance.randint(1, 12))
                room = chance.choice(rooms)
                found = await crowd.claim(client, room.pk, start, end)
                if found.status_code == 201 and chance.random() < 0.8:
                    await crowd.let_go(client, found.json()["id"])

        async def middle() -> None:
            await asyncio.sleep(seconds / 2)
            in_the_middle()

        await asyncio.gather(middle(), *(one(seed) for seed in range(clients)))

    return script


# --- Afterwards ---------------------------------------------------------------------------------


def deadlocks() -> int:
    """How many PostgreSQL has broken up in this database since it was made."""
    with connect() as admin:
        admin.execute("SELECT pg_stat_force_next_flush()")
        admin.commit()
        found = admin.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    return found[0] if found else 0


def overlapping_lines() -> int:
    ((count,),) = sql(OVERLAPPING_LINES, LIVE, LIVE)
    return count


def held_rows(hold_ids: Sequence[str]) -> int:
    """How many of these holds the database has, each with booking, line and occupancy."""
    ((count,),) = sql(
        "SELECT count(DISTINCT h.id) FROM holds_hold h"
        " JOIN bookings_line l ON l.booking_id = h.booking_id"
        " JOIN bookings_occupancy o ON o.line_id = l.id WHERE h.id = ANY(%s::uuid[])",
        list(hold_ids),
    )
    return count
