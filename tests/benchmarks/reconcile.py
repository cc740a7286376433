"""`python -m tests.benchmarks.reconcile`: one pass over 100,000 payments, 100 of them broken.

Prints a Markdown table for docs/benchmarks.md. The rows are written by SQL past the guards; the
checks that ask Stripe are left out, since their time is Stripe's.
"""

import argparse
import logging
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.stage import Stage, stage

ROOMS = 40
BROKEN_ONE_IN = 1000
CHECKS = (
    "overlaps", "dues", "credit_ledger", "payments_stuck", "checkouts_stuck", "refunds_stuck",
    "effects_overdue",
)  # fmt: skip

# A row like the template's for each n, some of its columns of their own.
_COPY = """
    INSERT INTO {table}
    SELECT (jsonb_populate_record(NULL::{table}, to_jsonb(t) || jsonb_build_object({own}))).*
    FROM {table} t, generate_series(1, %s) AS n WHERE t.{key} = %s
"""
_START = "date_trunc('hour', now()) - interval '60 days' + (n / {rooms}) * interval '1 hour'"


def _id(kind: str) -> str:
    return f"md5('{kind}' || n)::uuid"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=100_000)
    options = parser.parse_args()
    with stage() as on:
        logging.disable(logging.WARNING)  # there is no Stripe here: stuck captures stay stuck
        build(on, options.payments)
        report(options.payments, measure())


def build(on: Stage, many: int) -> None:
    """A confirmed, captured booking of an hour for each payment; one in 1,000 broken."""
    from tests.admin.support import confirmed, payment
    from tests.factories import ResourceFactory, WorkspaceFactory

    workspace = WorkspaceFactory()
    for _ in range(ROOMS):
        ResourceFactory(workspace=workspace)
    on.sql(
        "CREATE TABLE bench_rooms AS SELECT id, row_number() OVER () - 1 AS place"
        " FROM bookings_resource"
    )
    booking = confirmed(ResourceFactory(workspace=workspace))
    paid = payment(booking)
    start = _START.format(rooms=ROOMS)
    room = f"(SELECT id FROM bench_rooms WHERE place = mod(n, {ROOMS}))"
    span = f"'id', {_id('l')}, 'starts_at', {start}, 'ends_at', {start} + interval '1 hour'"
    copies = [
        ("bookings_booking", "id", booking.pk,
         (f"'id', {_id('b')}, 'reference', 'B' || n, 'starts_at', {start},"
         f" 'ends_at', {start} + interval '1 hour'")),
        ("bookings_line", "booking_id", booking.pk,
         f"{span}, 'booking_id', {_id('b')}, 'resource_id', {room}"),
        ("holds_hold", "booking_id", booking.pk,
         f"'id', {_id('h')}, 'booking_id', {_id('b')}, 'token', 'h' || n"),
        ("payments_due", "booking_id", booking.pk,
         f"'id', {_id('d')}, 'booking_id', {_id('b')}"),
        ("payments_checkout", "id", paid.checkout_id,
         (f"'id', {_id('c')}, 'due_id', {_id('d')}, 'session_id', 'cs_' || n,"
         " 'state', 'complete', 'ended_at', now()")),
        ("payments_payment", "id", paid.pk,
         (f"'id', {_id('p')}, 'due_id', {_id('d')}, 'checkout_id', {_id('c')},"
         " 'payment_intent_id', 'pi_' || n")),
    ]  # fmt: skip
    for table, key, template, own in copies:
        on.past_guards(_COPY.format(table=table, key=key, own=own), [many, template])
    for part, statement in enumerate(_BREAK):
        nth = {"many": many // BROKEN_ONE_IN, "part": part, "each": BROKEN_ONE_IN}
        on.past_guards(statement, nth)
    on.sql("ANALYZE")


_NTH = "SELECT n * %(each)s AS n FROM generate_series(1, %(many)s) n WHERE n %% 4 = %(part)s"
_BREAK = [
    (
        "UPDATE bookings_booking SET state = 'expired' WHERE id IN"
        f" (SELECT {_id('b')} FROM ({_NTH}) nth)"
    ),
    (
        "UPDATE payments_payment SET state = 'voided', verdict = 'void' WHERE id IN"
        f" (SELECT {_id('p')} FROM ({_NTH}) nth)"
    ),
    # Its line and that of the room's next booking move to one free hour.
    (
        "UPDATE bookings_line SET starts_at = now() + interval '200 days' + n * interval '8s',"
        " ends_at = now() + interval '200 days 1 hour' + n * interval '8s'"
        f" FROM (SELECT n, {_id('l')} AS one, md5('l' || (n + {ROOMS}))::uuid AS two"
        f" FROM ({_NTH}) nth) pair WHERE id IN (one, two)"
    ),
    (
        "UPDATE payments_payment SET state = 'capturing', decided_at = now() - interval '1 hour'"
        f" WHERE id IN (SELECT {_id('p')} FROM ({_NTH}) nth)"
    ),
]


@dataclass
class Measured:
    """What one run of a check took."""

    name: str
    run: Any
    seconds: float
    queries: int
    again: float = 0.0
    notes: list[str] = field(default_factory=list)


def measure() -> tuple[list[Measured], float, float]:
    """Each check twice: when it finds what is broken, and when it has told so before."""
    from payments.reconciler import registry

    before = _resident()
    found = []
    for name in CHECKS:
        check = registry.check_named(name)
        one = _timed(check)
        one.again = _timed(check).seconds
        found.append(one)
    return found, before, _resident()


def _timed(check: Any) -> Measured:
    from django.db import connection

    from payments.reconciler import runner

    with _counted(connection) as asked:
        began = time.perf_counter()
        run = runner.run(check, seconds=600)
        took = time.perf_counter() - began
    assert run is not None
    assert run.is_complete, run.error
    return Measured(check.name, run, took, asked[0])


@contextmanager
def _counted(connection: Any) -> Iterator[list[int]]:
    asked = [0]

    def count(execute: Any, *args: Any) -> Any:
        asked[0] += 1
        return execute(*args)

    with connection.execute_wrapper(count):
        yield asked


def _resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(many: int, measured: tuple[list[Measured], float, float]) -> None:
    from payments.models import Finding

    found, before, after = measured
    print("| check | looked at | found | seconds | queries | seconds again |")
    print("|---|---|---|---|---|---|")
    for one in found:
        print(f"| {one.name} | {one.run.looked_at:,} | {one.run.found} | {one.seconds:.2f}"
              f" | {one.queries} | {one.again:.2f} |")  # fmt: skip
    print(f"| together | | {sum(one.run.found for one in found)}"
          f" | {sum(one.seconds for one in found):.2f} | {sum(one.queries for one in found)}"
          f" | {sum(one.again for one in found):.2f} |")  # fmt: skip
    print()
    print(f"{many:,} payments; open findings: {Finding.objects.filter(closed_at=None).count()}")
    print(f"Memory of the process: {before:.0f} MB before, at most {after:.0f} MB")


if __name__ == "__main__":
    main()
