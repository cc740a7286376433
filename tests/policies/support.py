"""Shorthands: money that did not come by Stripe, and whether everything comes out even."""

from django.db import connection

from config.kernel.context import Actor
from config.kernel.money import Money
from holds.models import Hold
from payments import external
from payments.external import Received
from payments.models import Due
from payments.reconciler import sums

STAFF = Actor("staff", "1", "Sam at the desk")


def received(minor: int = 4500, reference: str = "R-1", provider: str = "cash") -> Received:
    return Received(provider, reference, Money(minor, "NZD"))


def confirm(held: Hold, what: Received | None = None):
    return external.confirm_external(hold_id=held.pk, received=what or received(), actor=STAFF)


def due_of(held: Hold) -> Due:
    return Due.objects.get(booking_id=held.booking_id, change=held.change_id)


def assert_even(held: Hold) -> None:
    """The due's sum comes out even (INV-6), and no deferred rule is broken."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    assert sums.seen_of(due_of(held).pk) is None
