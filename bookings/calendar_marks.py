"""What marks the calendar events of lines: triggers, so that no writer forgets and no claim pays.

A mark says that a connected calendar may not show the truth any more: `wanted_version` counts up.
What the truth is, whoever writes the calendar reads then (`bookings/calendars/projecting.py`).
Where the line is to stand there no longer, nothing done to its event is left to decide.
Where a resource has no calendar that is written, this is one look at an index.
"""

import pgtrigger

_MARK = """wanted_version = wanted_version + 1, wanted_at = clock_timestamp(),
            due_at = clock_timestamp(), attempts = 0"""

line_marks_calendars = pgtrigger.Trigger(
    name="marks_calendars",
    operation=pgtrigger.Insert
    | pgtrigger.UpdateOf("resource_id", "starts_at", "ends_at", "quantity", "cancelled_at"),
    when=pgtrigger.After,
    func=f"""
        IF TG_OP = 'UPDATE' THEN
            UPDATE bookings_calendarevent SET {_MARK},
                outside_kind = CASE WHEN NEW.cancelled_at IS NULL
                    AND NEW.resource_id = OLD.resource_id THEN outside_kind ELSE '' END
            WHERE line_id = NEW.id;
        END IF;
        INSERT INTO bookings_calendarevent (id, connection_id, line_id)
        SELECT gen_random_uuid(), c.connection_id, NEW.id FROM bookings_connectedresource c
        WHERE c.resource_id = NEW.resource_id AND c.writes
        ON CONFLICT (connection_id, line_id) DO NOTHING;
        RETURN NULL;
    """,  # noqa: S608
)

# That it took place, or nobody came, changes nothing in a calendar.
booking_marks_calendars = pgtrigger.Trigger(
    name="marks_calendars",
    operation=pgtrigger.UpdateOf("state", "name", "email"),
    when=pgtrigger.After,
    condition=pgtrigger.Q(old__state__df=pgtrigger.F("new__state"))
    | pgtrigger.Q(old__name__df=pgtrigger.F("new__name"))
    | pgtrigger.Q(old__email__df=pgtrigger.F("new__email")),
    func=f"""
        IF NEW.state NOT IN ('completed', 'no_show') THEN
            UPDATE bookings_calendarevent SET {_MARK},
                outside_kind = CASE WHEN NEW.state IN ('released', 'expired', 'cancelled')
                    THEN '' ELSE outside_kind END
            WHERE line_id IN (SELECT id FROM bookings_line WHERE booking_id = NEW.id);
        END IF;
        RETURN NULL;
    """,  # noqa: S608
)
