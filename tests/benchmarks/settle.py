"""`python -m tests.benchmarks.settle`: payments settled a second, beside floors of the same run.

Each payment is authorised at the sandbox before the clock starts; settling it fetches the session,
decides, captures and writes that down. The floors are the sandbox's own two calls without any of
it, and a bare transaction that writes one row. Prints a Markdown table for docs/benchmarks.md;
ratios count, the absolute figures are a machine's.
"""

import argparse
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from tests.benchmarks.stage import Stage, stage

ROOMS = 40
MANY = 8
TURNS = 5
FLOOR = "one INSERT and its commit"
CALLS = "Stripe's two calls alone"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="payments per measurement")
    options = parser.parse_args()
    with stage() as on, stripe_of(on) as shop:
        logging.disable(logging.WARNING)
        report(measure(shop, options.count), one_by_one(shop))


@dataclass
class Measured:
    """What one measurement took, and from how many threads it was done."""

    name: str
    settlers: int
    count: int
    took: float
    seconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.count / self.took

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share was done."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


@dataclass
class Shop:
    """A workspace with rooms, and the sandbox that pays for them."""

    sandbox: Any
    workspace: Any
    rooms: list[Any]
    taken: int = 0

    def authorised(self, count: int, *, rooms: int = ROOMS) -> list[Any]:
        """So many Checkouts whose payments are authorised, and nobody has been told."""
        return [self._paid(self.rooms[number % rooms]) for number in range(count)]

    def _paid(self, room: Any) -> Any:
        from payments.models import Checkout
        from tests.core.support import hold, line

        self.taken += 1
        wanted = line(room)
        start = wanted.start + timedelta(minutes=15 * self.taken)
        held = hold(type(wanted)(room.pk, start, start + timedelta(minutes=15)))
        url = _opened(held)
        answer = httpx.post(url, data={"outcome": "pay_without_returning"}, timeout=30)
        assert answer.status_code == 200, answer.text
        return Checkout.objects.get(due__booking_id=held.booking_id)

    def calls(self) -> int:
        """How many API calls the sandbox has answered."""
        return len(httpx.get(f"{self.sandbox.url}/_sandbox/requests").json())


def _opened(held: Any) -> str:
    from config.kernel.context import SYSTEM
    from payments import checkouts

    back = "http://127.0.0.1/"
    started = checkouts.start(hold_id=held.pk, success_url=back, cancel_url=back, actor=SYSTEM)
    return started.url or ""


@contextmanager
def stripe_of(on: Stage) -> Iterator[Shop]:
    """The sandbox as a process of this run, and a workspace that charges through it."""
    from django.test import override_settings

    from config.embedded import sandbox
    from payments import stripe_api
    from tests.factories import ResourceFactory, WorkspaceFactory

    server = sandbox.start(on.run)
    sandbox.wait(server)
    with override_settings(STRIPE_HOST=server.url, STRIPE_SECRET_KEY=server.secret_key):
        stripe_api.client.cache_clear()
        workspace = WorkspaceFactory()
        rooms = [ResourceFactory(workspace=workspace) for _ in range(ROOMS)]
        yield Shop(server, workspace, rooms)


# --- Measuring ----------------------------------------------------------------------------------


def measure(shop: Shop, count: int) -> list[Measured]:
    """Floors and settlements by one and by many; every payment is settled once, then again.

    All are authorised first. Then each measurement takes a part of its work in turn, so that an
    hour in which the machine is slower is slower for all of them.
    """
    spread(shop.authorised(20), MANY, settle)  # warm
    found = []
    for settlers in (1, MANY):
        calls, mine = shop.authorised(count), shop.authorised(count)
        found += _in_turn(settlers, calls, mine)
        confirmed(mine)
    crowded, same = shop.authorised(count // 2, rooms=1), shop.authorised(20)
    found.append(spread(crowded, MANY, settle, "settlements, all of one room"))
    hints = [checkout for checkout in same for _ in range(MANY)]
    found.append(spread(hints, MANY, settle_or_repeat, f"{MANY} signals at once for one payment"))
    confirmed(crowded + same)
    return found


def _in_turn(settlers: int, calls: list[Any], mine: list[Any]) -> list[Measured]:
    parts: list[list[Measured]] = []
    for turn in range(TURNS):
        left, settled = calls[turn::TURNS], mine[turn::TURNS]
        parts.append(
            [
                spread(left, settlers, bare, FLOOR),
                spread(left, settlers, only_calls, CALLS),
                spread(settled, settlers, settle, "settlements, bookings of 40 rooms"),
                spread(settled, settlers, repeat, "repeated signals, with a look at Stripe"),
                spread(known(settled), settlers, repeat_known, "repeated signals, session at hand"),
            ]
        )
    return [_together(same) for same in zip(*parts, strict=True)]


def _together(parts: Sequence[Measured]) -> Measured:
    return Measured(
        parts[0].name,
        parts[0].settlers,
        sum(part.count for part in parts),
        sum(part.took for part in parts),
        [seconds for part in parts for seconds in part.seconds],
    )


def spread(
    work: Sequence[Any], settlers: int, do: Callable[[Any], None], name: str = ""
) -> Measured:
    """Do each piece of work once, from so many threads with a connection each."""
    found = Measured(name, settlers, len(work), 0.0)
    left = iter(work)
    began: list[float] = []
    gate = threading.Barrier(settlers, action=lambda: began.append(time.perf_counter()))
    guard = threading.Lock()
    wrong: list[BaseException] = []

    def one() -> None:
        from django.db import connection

        connection.ensure_connection()
        gate.wait()
        try:
            _work(left, guard, do, found.seconds)
        except BaseException as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(settlers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.took = time.perf_counter() - began[0]
    if wrong:
        raise wrong[0]
    return found


def _work(left: Iterator[Any], guard: Any, do: Callable[[Any], None], seconds: list[float]) -> None:
    while True:
        with guard:
            piece = next(left, None)
        if piece is None:
            return
        began = time.perf_counter()
        do(piece)
        seconds.append(time.perf_counter() - began)


def bare(checkout: Any) -> None:
    """The least that a transaction can be by the ORM."""
    from members.models import IdempotencyKey

    IdempotencyKey.objects.create(scope="floor", operation="insert", key=str(uuid.uuid4()))


def only_calls(checkout: Any) -> None:
    """What settling asks of Stripe: the session, and the capture."""
    from payments import stripe_api
    from payments.models import Payment

    session = stripe_api.fetch_session(checkout)
    assert session.intent is not None
    payment = Payment(payment_intent_id=session.intent.id, account=checkout.account, tries=1)
    assert stripe_api.capture(payment).status == "succeeded"


def settle(checkout: Any) -> None:
    assert _outcome(checkout) == "confirmed"


def repeat(checkout: Any) -> None:
    """A signal for what was settled before."""
    assert _outcome(checkout) == "repeated"


def settle_or_repeat(checkout: Any) -> None:
    assert _outcome(checkout) in {"confirmed", "repeated"}


def repeat_known(known: tuple[Any, Any]) -> None:
    checkout, session = known
    assert _outcome(checkout, session) == "repeated"


def _outcome(checkout: Any, session: Any = None) -> str:
    from payments import settlement
    from payments.models import Signal

    source = Signal.Source.PLATFORM
    return settlement.settle(checkout_id=checkout.pk, source=source, known=session).name


def known(settled: Sequence[Any]) -> list[tuple[Any, Any]]:
    from payments import stripe_api

    return [(checkout, stripe_api.fetch_session(checkout)) for checkout in settled]


def confirmed(settled: Sequence[Any]) -> None:
    """Every one of them has its slot and was captured once."""
    from payments.models import Payment

    ids = [checkout.pk for checkout in settled]
    mine = Payment.objects.filter(checkout__in=ids, state="captured", due__settled_at__isnull=False)
    mine = mine.filter(due__booking__state="confirmed")
    assert (mine.count(), Payment.objects.filter(checkout__in=ids).count()) == (len(ids),) * 2


# --- Counting -----------------------------------------------------------------------------------


def one_by_one(shop: Shop) -> dict[str, tuple[int, int]]:
    """Statements (savepoints included) and Stripe calls of one settlement and of a repeat."""
    (checkout,) = shop.authorised(1)
    counts = {}
    for name, do in (("a settlement", settle), ("a repeated signal", repeat)):
        before = shop.calls()
        with _counted() as statements:
            do(checkout)
        counts[name] = (len(statements), shop.calls() - before)
    return counts


@contextmanager
def _counted() -> Iterator[list[str]]:
    from django.db import connection

    statements: list[str] = []

    def count(execute: Any, sql: str, *args: Any) -> Any:
        statements.append(sql)
        return execute(sql, *args)

    with connection.execute_wrapper(count):
        yield statements


def report(found: list[Measured], counts: dict[str, tuple[int, int]]) -> None:
    print("| what | settlers | a second | p50 ms | p95 ms | of Stripe's calls | of an INSERT |")
    print("|---|---|---|---|---|---|---|")
    floors = {(one.name, one.settlers): one.rate for one in found}
    for one in found:
        marks = " | ".join(f"{one.percentile(share):.1f}" for share in (0.5, 0.95))
        shares = " | ".join(
            f"{one.rate / floors[floor, one.settlers]:.2f}" for floor in (CALLS, FLOOR)
        )
        print(f"| {one.name} | {one.settlers} | {one.rate:.0f} | {marks} | {shares} |")
    print()
    for name, (statements, calls) in counts.items():
        print(f"{name}: {statements} statements, {calls} calls to Stripe")


if __name__ == "__main__":
    main()
