"""A payment came after its hold had ended: win the slot again, or find that it is gone.

The same rules as a claim's: others' dead holds are cleared away, a new block counts as gone, and
the constraints decide (design.md §6, "Late-payment ladder").
"""

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from bookings import discounts
from bookings.models import Occupancy
from config.kernel import rows
from config.kernel.context import SYSTEM
from config.kernel.database_errors import constraint_of
from config.kernel.ids import new_id
from holds import ending
from holds.models import Hold
from holds.states import ACTIVE, EXPIRED
from payments.lock_objects import LockedMoney

_IN_THE_WAY = """
    SELECT o.booking_id, coalesce(o.lapses_at <= clock_timestamp(), false), o.exclusive,
           o.lapses_at IS NULL
    FROM bookings_occupancy mine JOIN bookings_occupancy o
      ON o.resource_id = mine.resource_id AND o.during && mine.during
    WHERE mine.booking_id = %s AND mine.change_id IS NOT DISTINCT FROM %s::uuid
      AND o.booking_id <> mine.booking_id AND o.released_at IS NULL
"""
_REFUSALS = {"occupancy_no_overlap", "occupancy_within_capacity", "occupancy_not_blocked"}


class OwnHoldInTheWay(Exception):
    """The member holds the slot anew, with a Checkout open: it is closed outside, then retried."""

    def __init__(self, hold_id: UUID) -> None:
        super().__init__(str(hold_id))
        self.hold_id = hold_id

    def make_way(self) -> None:
        """Let the newer hold go, in two phases. Raises what `let_go` raises."""
        from payments.holding import let_go

        let_go(hold_id=self.hold_id, actor=SYSTEM, reason="The earlier payment arrived")


def reacquire(money: LockedMoney, *, gives_up: bool) -> bool:
    """Win back every occupancy of an ended or lapsed hold, under its resources' locks.

    False when the slot is gone, or the discount that it was priced with is used up by now.
    Raises OwnHoldInTheWay unless `gives_up`.
    """
    own = _clear_the_way(money, gives_up=gives_up)
    if own is None:
        return False
    try:
        with transaction.atomic():
            # Undone when the slot turns out to be gone: the newer hold is then not given up.
            for hold in own:
                ending.release_locked(hold, money.now, SYSTEM, "The earlier payment arrived")
            if money.hold.state == EXPIRED:
                discounts.refuse_unless_left_again(money.booking)
                rows.insert(_occupancies_anew(money.hold))
            else:
                _take_again(money.hold, money.now)
    except discounts.DiscountUsedUp:
        return False
    except IntegrityError as error:
        if constraint_of(error) not in _REFUSALS:
            raise
        return False
    return True


def _clear_the_way(money: LockedMoney, *, gives_up: bool) -> list[Hold] | None:
    """Expire others' dead holds; the member's own newer ones, locked, for the caller to release.

    None when somebody else has the slot for sure.
    """
    with connection.cursor() as cursor:
        cursor.execute(_IN_THE_WAY, [money.booking.pk, money.hold.change_id])
        found = cursor.fetchall()
    lapsed = {booking_id for booking_id, is_lapsed, _, _ in found if is_lapsed}
    if lapsed:
        ending.expire_locked(sorted(lapsed))
    own: list[Hold] = []
    to_close: list[Hold] = []
    for booking_id, is_lapsed, exclusive, is_final in sorted(set(found)):
        hold = None if is_lapsed or is_final else _own(money, booking_id)
        if hold is not None:
            (to_close if hold.has_open_checkout else own).append(hold)
        elif exclusive and not is_lapsed:
            return None
    if to_close and not gives_up:
        raise OwnHoldInTheWay(to_close[0].pk)
    return own


def _own(money: LockedMoney, booking_id: UUID) -> Hold | None:
    """The member's own newer, unpaid hold behind a booking; None for somebody else's."""
    hold = Hold.objects.filter(booking_id=booking_id, state=ACTIVE).first()
    if hold is None or not _same_person(money.hold, hold):
        return None
    locked = ending.lock_own(hold)
    return locked if locked is not None and locked.state == ACTIVE else None


def _same_person(one: Hold, other: Hold) -> bool:
    by_browser = bool(one.visitor) and one.visitor == other.visitor
    by_member = one.member_id is not None and one.member_id == other.member_id
    return by_browser or by_member


def _behind(hold: Hold) -> QuerySet[Occupancy]:
    return Occupancy.objects.filter(booking_id=hold.booking_id, change=hold.change_id)


def _take_again(hold: Hold, now: datetime) -> None:
    """Let go of what lapsed untidied and take it anew: a block refuses it like anybody's claim."""
    mine = _behind(hold).filter(released_at=None)
    ids = list(mine.values_list("pk", flat=True))
    Occupancy.objects.filter(pk__in=ids).update(released_at=now)
    Occupancy.objects.filter(pk__in=ids).update(released_at=None)


def _occupancies_anew(hold: Hold) -> list[Occupancy]:
    """Fresh rows like the released ones; a hold expires once, so these are all it had."""
    return [
        Occupancy(
            id=new_id(),
            resource_id=old.resource_id,
            booking_id=old.booking_id,
            line_id=old.line_id,
            change_id=old.change_id,
            during=old.during,
            quantity=old.quantity,
            exclusive=old.exclusive,
        )
        for old in _behind(hold).order_by("resource_id", "pk")
    ]
