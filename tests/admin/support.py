"""Holds and bookings for the admin's tests, made by the services, and addresses of its pages."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.urls import reverse

from bookings.models import Booking, Resource
from config.kernel.context import Actor
from holds.claims import Claimant, LineRequest, claim
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.services import confirm_unpaid
from payments.models import Checkout, Due, Payment
from tests.factories import at

ANA = Actor("member", label="Ana")


def place(resource: Resource, hour: float = 10, hours: float = 1, quantity: int = 1) -> Hold:
    """A live hold of Ana's, a week from now."""
    wanted = LineRequest(resource.id, at(hour), at(hour + hours), quantity)
    with transaction.atomic():
        return claim(
            workspace=resource.workspace,
            lines=[wanted],
            claimant=Claimant(email="ana@example.test", name="Ana"),
            actor=ANA,
        )


def confirmed(resource: Resource, hour: float = 10) -> Booking:
    """A booking of Ana's that is confirmed."""
    hold = place(resource, hour)
    with transaction.atomic():
        return confirm_unpaid(lock_hold(hold.pk), ANA)


def payment(booking: Booking, state: str = "captured", **columns: Any) -> Payment:
    """A payment of the booking's total in its last state, moved as the table allows."""
    due, now = Due.objects.get(booking=booking), booking.created_at
    money = {"amount_minor": booking.total_minor, "currency": "NZD", "livemode": False}
    checkout = Checkout.objects.create(
        due=due,
        attempt=due.checkouts.count() + 1,
        title="Room",
        success_url="https://x.test",
        cancel_url="https://x.test",
        created_at=now,
        expires_at=now + timedelta(hours=1),
        close_requested_at=now,
        **money,
    )
    row = Payment.objects.create(
        due=due,
        checkout=checkout,
        payment_intent_id=f"pi_{checkout.pk}",
        created_at=now,
        **money,
    )
    steps = dict.fromkeys(["authorised", "capturing", state])
    for version, step in enumerate(steps, start=1):
        row.state, row.version = step, version
        row.verdict = "" if step == "authorised" else "capture"
        row.save()
    Payment.objects.filter(pk=row.pk).update(**columns)
    row.refresh_from_db()
    return row


def changelist(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def add(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")


def change(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def delete(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_delete", args=[row.pk])


def deed(row: Any, name: str) -> str:
    """The page of an action on a row."""
    label = f"{row._meta.app_label}_{row._meta.model_name}"
    return reverse(f"admin:{label}_{name}", args=[row.pk])
