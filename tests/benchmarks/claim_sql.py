"""The claim's own statements for pgbench: the floor under all Python."""

SCRIPT = """
\\set room random(0, :rooms - 1)
\\set slot random(2000000, 900000000)
SELECT gen_random_uuid() AS b, gen_random_uuid() AS l, gen_random_uuid() AS h \\gset
SELECT id AS r, workspace_id AS w
 FROM bookings_resource OFFSET :room::int LIMIT 1 \\gset
SELECT * FROM members_apikey k JOIN members_workspace w ON w.id = k.workspace_id
 WHERE digest = md5(:b::text) AND revoked_at IS NULL;
BEGIN;
INSERT INTO members_idempotencykey
 (id, scope, operation, key, fingerprint, status, body, created_at)
 VALUES (:b::uuid, 'bench', 'holds.create', :b::text, repeat('f', 64), NULL, '', clock_timestamp())
 ON CONFLICT (scope, operation, key) DO NOTHING;
{lock};
WITH b AS (INSERT INTO bookings_booking (id, workspace_id, reference, email, name, state, version,
   currency, total_minor, price, policy, starts_at, ends_at, created_at)
   VALUES (:b::uuid, :w::uuid, right(:b::text, 12), '', '', 'pending_payment', 0, 'NZD', 4500,
   '{{}}', '{{}}', now(), now() + interval '1 minute', now())),
 l AS (INSERT INTO bookings_line (id, booking_id, position, resource_id, starts_at, ends_at,
   quantity, amount_minor, price) VALUES (:l::uuid, :b::uuid, 0, :r::uuid, now(),
   now() + interval '1 minute', 1, 4500, '[]')),
 o AS (INSERT INTO bookings_occupancy (id, resource_id, booking_id, line_id, during, quantity,
   exclusive, lapses_at) VALUES (gen_random_uuid(), :r::uuid, :b::uuid, :l::uuid,
   tstzrange(now() + :slot::int * interval '1 minute',
     now() + (:slot::int + 1) * interval '1 minute'),
   1, true, now() + interval '15 minutes')),
 h AS (INSERT INTO holds_hold (id, workspace_id, booking_id, token, state, version, created_at,
   expires_at, lapses_at, ended_because, has_open_checkout, visitor) VALUES (:h::uuid,
   :w::uuid, :b::uuid, :h::text, 'active', 0, now(), now() + interval '15 minutes',
   now() + interval '15 minutes', '', false, '')),
 e AS (INSERT INTO bookings_bookingevent (id, booking_id, at, kind, from_state, to_state, version,
   actor_kind, actor_id, actor_label, reason, request_id, data) VALUES (gen_random_uuid(),
   :b::uuid, now(), 'held', '', 'pending_payment', 0, 'api_key', '', '', '', '', '{{}}'))
 INSERT INTO payments_due (id, workspace_id, booking_id, purpose, amount_minor, currency,
   created_at) VALUES (gen_random_uuid(), :w::uuid, :b::uuid, 'booking', 4500, 'NZD', now());
UPDATE members_idempotencykey SET status = 201, body = '{{"a": 1}}' WHERE scope = 'bench'
 AND operation = 'holds.create' AND key = :b::text;
COMMIT;
"""


def script(lock_if_free: str, rooms: int) -> str:
    """The pgbench script; overlapping windows are rare at this spread, and end a client if hit."""
    lock = lock_if_free.strip()
    for name, value in {
        "workspace": ":w::uuid",
        "id": ":r::uuid",
        "quantity": "1",
        "start": "now() + :slot::int * interval '1 minute'",
        "end": "now() + (:slot::int + 1) * interval '1 minute'",
    }.items():
        lock = lock.replace(f"%({name})s", f"({value})")
    return f"\\set rooms {rooms}\n" + SCRIPT.format(lock=lock)
