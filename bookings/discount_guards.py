"""The triggers that keep a discount code's limits, whoever writes.

A use is live while its booking is not released, expired or cancelled. Uses are counted under the
lock of the discount's row, taken last of all locks of a claim; a code without limits is not locked.
"""

import pgtrigger

from bookings.guards import READ_COMMITTED_ONLY
from config.kernel.triggers import deferred, refuse

_DEAD = "('expired', 'released', 'cancelled')"
_DECLARE = [
    ("most", "integer"),
    ("most_each", "integer"),
    ("used", "bigint"),
    ("used_each", "bigint"),
]
# Lock first, count second: the count must see what was committed during the wait.
_COUNT = f"""
    SELECT max_uses, max_uses_each INTO most, most_each
    FROM bookings_discount WHERE id = u.discount_id;
    IF most IS NULL AND most_each IS NULL THEN RETURN NEW; END IF;
    {READ_COMMITTED_ONLY.replace("occupancy_read", "discount_read")}
    PERFORM 1 FROM bookings_discount WHERE id = u.discount_id FOR NO KEY UPDATE;
    SELECT count(*), count(*) FILTER (
        WHERE (o.email = u.email AND u.email <> '') OR o.member_id = u.member_id
    ) INTO used, used_each
    FROM bookings_discountuse o JOIN bookings_booking b ON b.id = o.booking_id
    WHERE o.discount_id = u.discount_id AND o.booking_id <> u.booking_id
      AND b.state NOT IN {_DEAD};
"""
_EACH = f"""
    IF used_each >= most_each THEN
        {refuse("discount_max_uses_each", "they have used the code as often as one may")}
    END IF;
"""
_IN_ALL = f"""
    IF used >= most THEN
        {refuse("discount_max_uses", "the code has been used as often as it can be")}
    END IF;
"""

use_within_limits = pgtrigger.Trigger(
    name="within_limits",
    operation=pgtrigger.Insert | pgtrigger.UpdateOf("email", "member_id"),
    when=pgtrigger.Before,
    declare=[*_DECLARE, ("u", "bookings_discountuse")],
    func=f"""
        u := NEW;
        {_COUNT}
        {_EACH}
        IF TG_OP = 'INSERT' THEN
            {_IN_ALL}
        END IF;
        RETURN NEW;
    """,
)

# What a use is of, and whose booking's, is said once.
use_stays = pgtrigger.Trigger(
    name="stays",
    operation=pgtrigger.UpdateOf("discount_id", "booking_id"),
    when=pgtrigger.Before,
    func=f"""
        IF (NEW.discount_id, NEW.booking_id) <> (OLD.discount_id, OLD.booking_id) THEN
            {refuse("discount_use_stays", "a use stays with its booking")}
        END IF;
        RETURN NEW;
    """,
)

use_belongs = deferred(
    "belongs",
    f"""
        IF NOT EXISTS (
            SELECT 1 FROM bookings_discount d JOIN bookings_booking b
              ON b.workspace_id = d.workspace_id
            WHERE d.id = NEW.discount_id AND b.id = NEW.booking_id
        ) THEN
            {refuse("discount_within_workspace", "the code is another workspace''s")}
        END IF;
        RETURN NULL;
    """,
    pgtrigger.Insert,
)

# An expired booking that a late payment brings back needs its use again.
booking_uses_again = pgtrigger.Trigger(
    name="uses_discount_again",
    operation=pgtrigger.UpdateOf("state"),
    when=pgtrigger.Before,
    condition=pgtrigger.Q(old__state="expired", new__state="confirmed"),
    declare=[*_DECLARE, ("u", "bookings_discountuse")],
    func=f"""
        SELECT * INTO u FROM bookings_discountuse WHERE booking_id = NEW.id;
        IF NOT FOUND THEN RETURN NEW; END IF;
        {_COUNT}
        {_EACH}
        {_IN_ALL}
        RETURN NEW;
    """,
)

resource_belongs = deferred(
    "belongs",
    f"""
        IF NOT EXISTS (
            SELECT 1 FROM bookings_discount d JOIN bookings_resource r
              ON r.workspace_id = d.workspace_id
            WHERE d.id = NEW.discount_id AND r.id = NEW.resource_id
        ) THEN
            {refuse("discount_within_workspace", "a discount is for its workspace''s resources")}
        END IF;
        RETURN NULL;
    """,
    pgtrigger.Insert | pgtrigger.Update,
)
