"""The claim's own statements for pgbench: the floor under all Python."""

SCRIPT = """
\\set room random(0, :rooms - 1)
\\set slot random(2000000, 900000000)
SELECT quote_literal(gen_random_uuid()) AS b, quote_literal(gen_random_uuid()) AS l,
 quote_literal(gen_random_uuid()) AS h \\gset
SELECT quote_literal(id) AS r, quote_literal(workspace_id) AS w
 FROM bookings_resource OFFSET :room LIMIT 1 \\gset
SELECT * FROM members_apikey k JOIN members_workspace w ON w.id = k.workspace_id
 WHERE digest = md5(:b) AND revoked_at IS NULL;
BEGIN;
INSERT INTO members_idempotencykey
 (id, scope, operation, key, fingerprint, status, body, created_at)
 VALUES (:b::uuid, 'key:x', 'holds.create', :b, repeat('f', 64), NULL, '', clock_timestamp())
 ON CONFLICT (scope, operation, key) DO NOTHING;
{rules} AND r.id = ANY(ARRAY[:r::uuid]) ORDER BY r.id FOR NO KEY UPDATE OF r;
SELECT clock_timestamp(), array_agg(DISTINCT o.booking_id) FROM bookings_occupancy o
 WHERE o.exclusive AND o.resource_id = :r::uuid AND o.released_at IS NULL AND o.during &&
 tstzrange(now() + :slot * interval '1 minute', now() + (:slot + 1) * interval '1 minute');
WITH b AS (INSERT INTO bookings_booking (id, workspace_id, reference, email, name, state, version,
   currency, total_minor, price, starts_at, ends_at, created_at)
   VALUES (:b::uuid, :w::uuid, left(:b, 8), '', '', 'pending_payment', 0, 'NZD', 4500, '{{}}',
   now(), now() + interval '1 minute', now())),
 l AS (INSERT INTO bookings_line (id, booking_id, position, resource_id, starts_at, ends_at,
   quantity, amount_minor, price) VALUES (:l::uuid, :b::uuid, 0, :r::uuid, now(),
   now() + interval '1 minute', 1, 4500, '[]')),
 o AS (INSERT INTO bookings_occupancy (id, resource_id, booking_id, line_id, during, quantity,
   exclusive, lapses_at) VALUES (gen_random_uuid(), :r::uuid, :b::uuid, :l::uuid,
   tstzrange(now() + :slot * interval '1 minute', now() + (:slot + 1) * interval '1 minute'),
   1, true, now() + interval '15 minutes')),
 h AS (INSERT INTO holds_hold (id, workspace_id, booking_id, token, state, version, created_at,
   expires_at, lapses_at, ended_because, has_open_checkout, visitor) VALUES (:h::uuid,
   :w::uuid, :b::uuid, :h, 'active', 0, now(), now() + interval '15 minutes',
   now() + interval '15 minutes', '', false, '')),
 e AS (INSERT INTO bookings_bookingevent (id, booking_id, at, kind, from_state, to_state, version,
   actor_kind, actor_id, actor_label, reason, request_id, data) VALUES (gen_random_uuid(),
   :b::uuid, now(), 'held', '', 'pending_payment', 0, 'api_key', '', '', '', '', '{{}}'))
 INSERT INTO payments_due (id, workspace_id, booking_id, purpose, amount_minor, currency,
   created_at) VALUES (gen_random_uuid(), :w::uuid, :b::uuid, 'booking', 4500, 'NZD', now());
UPDATE members_idempotencykey SET status = 201, body = '{{"a": 1}}' WHERE scope = 'key:x'
 AND operation = 'holds.create' AND key = :b;
COMMIT;
"""


def script(rules_sql: str, rooms: int) -> str:
    """The pgbench script; overlapping windows are rare at this spread, and end a client if hit."""
    rules = rules_sql.replace("= %s", "= :w::uuid").strip()
    return f"\\set rooms {rooms}\n" + SCRIPT.format(rules=rules)
