"""The triggers that keep INV-1, INV-2, INV-4, INV-9 and INV-10, whoever writes (design.md §3).

The models declare them; they stand here together so that the rules can be read side by side. Each
refuses with SQLSTATE and a constraint name that callers can rely on.
"""

import pgtrigger

from config.kernel.triggers import EXCLUSION, deferred, refuse

READ_COMMITTED_ONLY = f"""
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        {refuse("occupancy_read_committed", "claims need READ COMMITTED: a snapshot oversells")}
    END IF;
"""

# The peak of a pool's use at any instant of the range `span`, blocks included, without row `skip`.
# One sweep over the moments at which use changes; at the same moment, what ends goes first.
PEAK = """
    SELECT coalesce(max(used), 0) INTO peak FROM (
        SELECT sum(step.units) OVER (ORDER BY step.at, step.units) AS used
        FROM (
            SELECT o.during, o.quantity FROM bookings_occupancy o
            WHERE o.resource_id = pool AND o.released_at IS NULL AND NOT o.exclusive
              AND o.id <> skip AND o.during && span
            UNION ALL
            SELECT b.during, b.quantity FROM bookings_block b
            WHERE b.resource_id = pool AND b.during && span
        ) AS use CROSS JOIN LATERAL (VALUES
            (greatest(lower(use.during), lower(span)), use.quantity),
            (upper(use.during), -use.quantity)
        ) AS step(at, units)
    ) AS uses;
"""

occupancy_guard = pgtrigger.Trigger(
    name="guard",
    operation=pgtrigger.Insert
    | pgtrigger.UpdateOf("released_at", "resource_id", "during", "quantity", "exclusive"),
    when=pgtrigger.Before,
    declare=[
        ("pool", "uuid"),
        ("span", "tstzrange"),
        ("skip", "uuid"),
        ("peak", "bigint"),
        ("resource_mode", "text"),
        ("resource_capacity", "integer"),
    ],
    func=f"""
        IF TG_OP = 'UPDATE' THEN
            -- Never on release, of all or of a part: it would deadlock releases against claims,
            -- and a change would trip over a block that came after it was won.
            IF NEW.resource_id = OLD.resource_id AND NEW.during <@ OLD.during
               AND NEW.quantity <= OLD.quantity AND NEW.exclusive = OLD.exclusive
               AND (NEW.released_at IS NOT NULL OR OLD.released_at IS NULL) THEN
                RETURN NEW;
            END IF;
        END IF;
        {READ_COMMITTED_ONLY}
        -- Lock first, look second: the look must see what was committed during the wait.
        SELECT mode, capacity INTO resource_mode, resource_capacity
        FROM bookings_resource WHERE id = NEW.resource_id FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            {refuse("occupancy_resource_exists", "there is no such resource", sqlstate="23503")}
        END IF;
        IF NEW.exclusive IS NULL THEN
            NEW.exclusive := resource_mode = 'exclusive';
        ELSIF NEW.exclusive <> (resource_mode = 'exclusive') THEN
            {refuse("occupancy_exclusive_is_the_resources", "exclusive follows the resource")}
        END IF;
        IF NEW.released_at IS NOT NULL THEN
            RETURN NEW;
        END IF;
        IF NEW.exclusive THEN
            IF EXISTS (
                SELECT 1 FROM bookings_block b
                WHERE b.resource_id = NEW.resource_id AND b.during && NEW.during
            ) THEN
                {refuse("occupancy_not_blocked", "the window is blocked", sqlstate=EXCLUSION)}
            END IF;
            RETURN NEW;
        END IF;
        pool := NEW.resource_id; span := NEW.during; skip := NEW.id;
        {PEAK}
        IF peak + NEW.quantity > resource_capacity THEN
            {refuse("occupancy_within_capacity", "the pool is full then", sqlstate=EXCLUSION)}
        END IF;
        RETURN NEW;
    """,
)

resource_guard = pgtrigger.Trigger(
    name="guard",
    operation=pgtrigger.UpdateOf("mode", "capacity", "workspace_id", "location_id"),
    when=pgtrigger.Before,
    declare=[("pool", "uuid"), ("span", "tstzrange"), ("skip", "uuid"), ("peak", "bigint")],
    func=f"""
        IF NEW.mode <> OLD.mode AND EXISTS (
            SELECT 1 FROM bookings_occupancy WHERE resource_id = OLD.id
        ) THEN
            {refuse("resource_mode_is_fixed_once_used", "the mode is fixed once booked")}
        END IF;
        IF NEW.mode <> OLD.mode AND EXISTS (
            SELECT 1 FROM bookings_addon WHERE pool_id = OLD.id
        ) THEN
            {refuse("resource_is_offered_as_an_add_on", "an add-on is a pool")}
        END IF;
        IF NEW.workspace_id <> OLD.workspace_id THEN
            {refuse("resource_stays_in_workspace", "a resource stays in its workspace")}
        END IF;
        IF NEW.mode = 'pooled' AND NEW.capacity < OLD.capacity THEN
            pool := OLD.id;
            span := tstzrange(clock_timestamp(), NULL);
            skip := '00000000-0000-0000-0000-000000000000';
            {PEAK}
            IF peak > NEW.capacity THEN
                {
        refuse("resource_capacity_covers_bookings", "more is booked than that", sqlstate=EXCLUSION)
    }
            END IF;
        END IF;
        RETURN NEW;
    """,
)

# Writing a block waits for claims in flight on its resource, and they for it.
block_guard = pgtrigger.Trigger(
    name="guard",
    operation=pgtrigger.Insert
    | pgtrigger.UpdateOf("resource_id", "during", "quantity", "workspace_id"),
    when=pgtrigger.Before,
    func=f"""
        {READ_COMMITTED_ONLY}
        PERFORM 1 FROM bookings_resource
        WHERE id = NEW.resource_id AND workspace_id = NEW.workspace_id FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            {refuse("block_within_workspace", "a block stays in its resource''s workspace")}
        END IF;
        RETURN NEW;
    """,
)

# A busy time says nothing of how many units: calendars block what is exclusive, and stay with it.
block_of_calendar = pgtrigger.Trigger(
    name="of_calendar",
    operation=pgtrigger.Insert | pgtrigger.UpdateOf("resource_id", "connected_id"),
    when=pgtrigger.Before,
    condition=pgtrigger.Q(new__connected__isnull=False),
    func=f"""
        IF NOT EXISTS (
            SELECT 1 FROM bookings_connectedresource c
            JOIN bookings_resource r ON r.id = c.resource_id
            WHERE c.id = NEW.connected_id AND c.reads AND c.resource_id = NEW.resource_id
              AND r.mode = 'exclusive'
        ) THEN
            {refuse("block_of_its_calendar", "a busy time blocks what its calendar is read for")}
        END IF;
        RETURN NEW;
    """,
)

# A row that is saved from an older reading does not undo the mark.
resource_reads_calendars = pgtrigger.Trigger(
    name="reads_calendars",
    operation=pgtrigger.UpdateOf("reads_calendars", "mode"),
    when=pgtrigger.Before,
    func=f"""
        NEW.reads_calendars = EXISTS (
            SELECT 1 FROM bookings_connectedresource c
            JOIN bookings_calendarconnection k ON k.id = c.connection_id
            WHERE c.resource_id = NEW.id AND c.reads AND k.state NOT IN ('leaving', 'disconnected')
        );
        IF NEW.mode <> 'exclusive' AND NEW.mode <> OLD.mode AND EXISTS (
            SELECT 1 FROM bookings_connectedresource c WHERE c.resource_id = NEW.id AND c.reads
        ) THEN
            {refuse("resource_reads_calendars", "a calendar blocks what is exclusive")}
        END IF;
        RETURN NEW;
    """,
)

# --- INV-10: a booking's state and its occupancies agree when the transaction commits -----------

# A line that was moved may stand on several occupancies; together they cover it throughout: the
# cover is thinnest where the line begins, or where one of them ends.
#
# The booking row is locked FOR SHARE, so that a confirmation and a release that know nothing of
# each other cannot both commit.
_AGREE = f"""
    SELECT state INTO booking_state FROM bookings_booking
    WHERE id = subject FOR SHARE;
    IF booking_state = 'confirmed' AND EXISTS (
        SELECT 1 FROM bookings_line l CROSS JOIN LATERAL (
            SELECT l.starts_at AS at
            UNION ALL SELECT upper(o.during) FROM bookings_occupancy o
            WHERE o.line_id = l.id AND o.released_at IS NULL AND o.lapses_at IS NULL
              AND upper(o.during) > l.starts_at AND upper(o.during) < l.ends_at
        ) AS moment
        WHERE l.booking_id = subject AND l.cancelled_at IS NULL AND l.quantity > (
            SELECT coalesce(sum(o.quantity), 0) FROM bookings_occupancy o
            WHERE o.line_id = l.id AND o.booking_id = subject
              AND o.resource_id = l.resource_id
              AND o.released_at IS NULL AND o.lapses_at IS NULL
              AND o.during @> moment.at
        )
    ) THEN
        {refuse("confirmed_booking_has_occupancies", "a confirmed booking holds its slots")}
    END IF;
    IF booking_state = 'confirmed' AND NOT EXISTS (
        SELECT 1 FROM bookings_line l WHERE l.booking_id = subject AND l.cancelled_at IS NULL
    ) THEN
        {refuse("confirmed_booking_has_occupancies", "a confirmed booking has lines")}
    END IF;
    IF EXISTS (
        SELECT 1 FROM bookings_line l JOIN bookings_occupancy o ON o.line_id = l.id
        WHERE l.booking_id = subject AND l.cancelled_at IS NOT NULL
          AND o.booking_id = subject AND o.released_at IS NULL
    ) THEN
        {refuse("cancelled_line_has_no_occupancies", "a line given up holds nothing")}
    END IF;
    IF booking_state IN ('expired', 'released', 'cancelled') AND EXISTS (
        SELECT 1 FROM bookings_occupancy o
        WHERE o.booking_id = subject AND o.released_at IS NULL
    ) THEN
        {refuse("ended_booking_has_no_occupancies", "an ended booking holds nothing")}
    END IF;
    IF EXISTS (
        SELECT 1 FROM bookings_change c JOIN bookings_occupancy o ON o.change_id = c.id
        WHERE c.booking_id = subject AND c.state IN ('expired', 'released')
          AND o.booking_id = subject AND o.released_at IS NULL
    ) THEN
        {refuse("ended_change_has_no_occupancies", "an ended change holds nothing")}
    END IF;
    RETURN NULL;
"""
_AGREE_DECLARE = [("subject", "uuid"), ("booking_state", "text"), ("made_here", "boolean")]
_BELONGS_DECLARE = [*_AGREE_DECLARE, ("of_workspace", "uuid")]

# A booking that this very transaction has inserted is nobody else's yet: it needs no lock. (Its
# xmin is a 32-bit transaction id; one made under a savepoint merely takes the longer way.)
MADE_HERE = "b.xmin = pg_current_xact_id()::xid"

booking_agrees = deferred(
    "agrees_with_occupancies",
    f"subject := NEW.id; {_AGREE}",
    pgtrigger.UpdateOf("state"),
    declare=_AGREE_DECLARE,
)

line_agrees = deferred(
    "agrees_with_occupancies",
    f"subject := NEW.booking_id; {_AGREE}",
    pgtrigger.UpdateOf(
        "booking_id", "resource_id", "starts_at", "ends_at", "quantity", "cancelled_at"
    ),
    declare=_AGREE_DECLARE,
)

change_agrees = deferred(
    "agrees_with_occupancies",
    f"subject := NEW.booking_id; {_AGREE}",
    pgtrigger.UpdateOf("state"),
    declare=_AGREE_DECLARE,
)

occupancy_agrees = deferred(
    "agrees_with_booking",
    f"""
        IF TG_OP = 'DELETE' THEN subject := OLD.booking_id; ELSE subject := NEW.booking_id; END IF;
        {_AGREE}
    """,
    pgtrigger.Update | pgtrigger.Delete,
    declare=_AGREE_DECLARE,
)

# --- INV-9, and inserts of INV-10: rows of several tables agree ---------------------------------

line_belongs = deferred(
    "belongs",
    f"""
        SELECT b.workspace_id, b.state, {MADE_HERE} INTO of_workspace, booking_state, made_here
        FROM bookings_booking b WHERE b.id = NEW.booking_id;
        IF of_workspace IS DISTINCT FROM (
            SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id
        ) THEN
            {refuse("line_within_workspace", "a line stays within its booking''s workspace")}
        END IF;
        IF made_here AND booking_state = 'pending_payment' THEN
            RETURN NULL;
        END IF;
        subject := NEW.booking_id;
        {_AGREE}
    """,
    pgtrigger.Insert,
    declare=_BELONGS_DECLARE,
)

occupancy_belongs = deferred(
    "belongs",
    f"""
        SELECT b.workspace_id, b.state, {MADE_HERE} INTO of_workspace, booking_state, made_here
        FROM bookings_booking b WHERE b.id = NEW.booking_id;
        IF NEW.booking_id IS DISTINCT FROM (
            SELECT l.booking_id FROM bookings_line l WHERE l.id = NEW.line_id
        ) OR of_workspace IS DISTINCT FROM (
            SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id
        ) THEN
            {refuse("occupancy_within_booking", "an occupancy stays within its booking")}
        END IF;
        IF NEW.change_id IS NOT NULL AND NEW.booking_id IS DISTINCT FROM (
            SELECT c.booking_id FROM bookings_change c WHERE c.id = NEW.change_id
        ) THEN
            {refuse("occupancy_within_booking", "an occupancy stays within its booking")}
        END IF;
        IF made_here AND booking_state = 'pending_payment' THEN
            RETURN NULL;
        END IF;
        subject := NEW.booking_id;
        {_AGREE}
    """,
    pgtrigger.Insert,
    declare=_BELONGS_DECLARE,
)

# An add-on's line stands in the booking of the line that it belongs to, at the same time, and has
# none of its own: whatever becomes of the one becomes of the other, also when it is given up.
_TOGETHER = f"""
    IF EXISTS (
        SELECT 1 FROM bookings_line a LEFT JOIN bookings_line l
          ON l.id = a.parent_id AND l.booking_id = a.booking_id AND l.parent_id IS NULL
         AND l.starts_at = a.starts_at AND l.ends_at = a.ends_at
         AND (l.cancelled_at IS NULL) = (a.cancelled_at IS NULL)
        WHERE (a.booking_id IN (NEW.booking_id, OLD.booking_id) OR a.id = NEW.id)
          AND a.parent_id IS NOT NULL AND l.id IS NULL
    ) THEN
        {refuse("add_on_stays_with_its_line", "an add-on stays with its line")}
    END IF;
    RETURN NULL;
"""

add_on_goes_with_its_line = deferred(
    "goes_with_its_line",
    _TOGETHER,
    pgtrigger.Insert,
    condition=pgtrigger.Q(new__parent_id__isnull=False),
)

line_keeps_its_add_ons = deferred(
    "keeps_its_add_ons",
    _TOGETHER,
    pgtrigger.UpdateOf("parent_id", "booking_id", "starts_at", "ends_at", "cancelled_at"),
)

# Handed to another booking, it would leave a confirmed one without its slot, unseen.
occupancy_stays = pgtrigger.Trigger(
    name="stays",
    operation=pgtrigger.UpdateOf("booking_id", "line_id", "change_id"),
    when=pgtrigger.Before,
    func=f"""
        IF (NEW.booking_id, NEW.line_id, NEW.change_id)
           IS DISTINCT FROM (OLD.booking_id, OLD.line_id, OLD.change_id) THEN
            {refuse("occupancy_within_booking", "an occupancy stays within its booking")}
        END IF;
        RETURN NEW;
    """,
)

resource_belongs = deferred(
    "belongs",
    f"""
        IF NOT EXISTS (
            SELECT 1 FROM bookings_location l
            WHERE l.id = NEW.location_id AND l.workspace_id = NEW.workspace_id
        ) OR NOT EXISTS (
            SELECT 1 FROM bookings_category c
            WHERE c.id = NEW.category_id AND c.workspace_id = NEW.workspace_id
        ) THEN
            {refuse("resource_within_workspace", "these are another workspace''s")}
        END IF;
        RETURN NULL;
    """,
    pgtrigger.Insert | pgtrigger.UpdateOf("location_id", "category_id", "workspace_id"),
)

booking_of_series = deferred(
    "of_series",
    f"""
        IF NEW.workspace_id IS DISTINCT FROM (
            SELECT s.workspace_id FROM bookings_series s WHERE s.id = NEW.series_id
        ) THEN
            {refuse("booking_within_series", "a series stays in its workspace")}
        END IF;
        RETURN NULL;
    """,
    pgtrigger.Insert | pgtrigger.UpdateOf("series_id", "workspace_id"),
    condition=pgtrigger.Q(new__series__isnull=False),
)

series_belongs = deferred(
    "belongs",
    f"""
        IF NEW.workspace_id IS DISTINCT FROM (
            SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id
        ) THEN
            {refuse("series_within_workspace", "a series stays in its resource''s workspace")}
        END IF;
        RETURN NULL;
    """,
    pgtrigger.Insert | pgtrigger.UpdateOf("resource_id", "workspace_id"),
)

add_on_belongs = deferred(
    "belongs",
    f"""
        IF NOT EXISTS (
            SELECT 1 FROM bookings_resource r JOIN bookings_resource p
              ON p.workspace_id = r.workspace_id
            WHERE r.id = NEW.resource_id AND p.id = NEW.pool_id AND p.mode = 'pooled'
        ) THEN
            {refuse("add_on_is_a_pool_of_the_workspace", "an add-on is a pool of the workspace")}
        END IF;
        RETURN NULL;
    """,
    pgtrigger.Insert | pgtrigger.UpdateOf("resource_id", "pool_id"),
)

unit_belongs = deferred(
    "belongs",
    f"""
        IF NOT EXISTS (
            SELECT 1 FROM bookings_resource r WHERE r.id = NEW.resource_id AND r.mode = 'pooled'
        ) THEN
            {refuse("unit_is_of_a_pool", "only a pool has units")}
        END IF;
        RETURN NULL;
    """,
    pgtrigger.Insert | pgtrigger.UpdateOf("resource_id"),
)

unit_assignment_belongs = pgtrigger.Trigger(
    name="belongs",
    operation=pgtrigger.Insert | pgtrigger.UpdateOf("unit_id", "line_id"),
    when=pgtrigger.Before,
    func=f"""
        IF NOT EXISTS (
            SELECT 1 FROM bookings_line l JOIN bookings_unit u ON u.resource_id = l.resource_id
            WHERE l.id = NEW.line_id AND u.id = NEW.unit_id
        ) THEN
            {refuse("unit_is_of_the_lines_pool", "a unit goes out for a line of its own pool")}
        END IF;
        RETURN NEW;
    """,
)
