"""Shorthands for placing and paying holds in-process."""

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from bookings import freshness
from bookings.models import Booking, Occupancy, Resource
from config.kernel.context import Actor
from holds import services
from holds.claims import Claimant, LineRequest
from holds.models import Hold

SOMEBODY = Actor("visitor", "somebody")


def tomorrow(hour: int, minute: int = 0) -> datetime:
    """A time of tomorrow in UTC, far enough ahead to be bookable."""
    day = datetime.now(UTC).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def line(resource: Resource, start: int = 9, end: int = 10, quantity: int = 1) -> LineRequest:
    """Tomorrow from one full hour to another."""
    return LineRequest(resource.pk, tomorrow(start), tomorrow(end), quantity)


def hold(*lines: LineRequest, **options: object) -> Hold:
    """Claim in a transaction of its own, as `once` would."""
    resource = Resource.objects.select_related("workspace").get(pk=lines[0].resource_id)
    claimant = options.pop("claimant", Claimant(email="ana@example.test", name="Ana"))
    with transaction.atomic():
        return services.claim(
            workspace=resource.workspace,
            lines=list(lines),
            claimant=claimant,  # type: ignore[arg-type]
            actor=SOMEBODY,
            **options,  # type: ignore[arg-type]
        )


def lapse(held: Hold, seconds: int = 1) -> None:
    """Let time pass for one hold: all its times move into the past together."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE holds_hold SET created_at = created_at - (lapses_at - clock_timestamp())"
            " - make_interval(secs => %(s)s), expires_at = expires_at -"
            " (lapses_at - clock_timestamp()) - make_interval(secs => %(s)s),"
            " lapses_at = clock_timestamp() - make_interval(secs => %(s)s) WHERE id = %(id)s",
            {"s": seconds, "id": held.pk},
        )
        cursor.execute(
            "UPDATE bookings_occupancy SET lapses_at = h.lapses_at FROM holds_hold h"
            " WHERE h.booking_id = bookings_occupancy.booking_id AND h.id = %s"
            " AND bookings_occupancy.change_id IS NOT DISTINCT FROM h.change_id"
            " AND released_at IS NULL AND bookings_occupancy.lapses_at IS NOT NULL",
            [held.pk],
        )
    freshness.booking_changed(held.booking_id)  # as if what is remembered had aged with it
    held.refresh_from_db()


def live(booking: Booking) -> int:
    """How many unreleased occupancies a booking has."""
    return Occupancy.objects.filter(booking=booking, released_at=None).count()


def state_of(held: Hold) -> tuple[str, str]:
    """The states of a hold and of its booking."""
    held.refresh_from_db()
    return held.state, Booking.objects.get(pk=held.booking_id).state
