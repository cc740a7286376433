"""How many live holds one member, browser or address may have; counted under their lock."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from config.kernel import locks
from holds import booking_limits
from holds.errors import TooManyHolds
from holds.subjects import Claimant
from members.models import Workspace

_LIVE_HOLDS = """
    SELECT count(*) FILTER (WHERE member_id = %(member)s),
           count(*) FILTER (WHERE visitor = %(visitor)s AND visitor <> ''),
           count(*) FILTER (WHERE address = %(address)s)
    FROM holds_hold
    WHERE state = 'active' AND workspace_id = %(workspace)s AND lapses_at > clock_timestamp()
      AND id <> ALL(%(own)s::uuid[])
      AND (member_id = %(member)s OR (visitor = %(visitor)s AND visitor <> '')
           OR address = %(address)s)
"""


def refuse_too_many(
    workspace: Workspace, who: Claimant, *, own: Sequence[UUID], also: Sequence[str] = ()
) -> None:
    """Serialise this subject's claims, then count what it holds beside its `own`, to be replaced.

    `also` are other subjects that are locked with it, in one order (design.md, "Lock order"), and
    so is what the member's limits on bookings lock; `booking_limits` counts when the windows are
    known. Raises TooManyHolds (429).
    """
    subjects = [*also, *booking_limits.subjects(workspace, who)]
    if who.limited:
        subjects += [f"visitor:{who.visitor}"] if who.visitor else []
        subjects += [f"member:{who.member.pk}"] if who.member else []
        subjects += [f"address:{who.address}"] if who.address else []
    locks.advisory(subjects)
    if not who.limited:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _LIVE_HOLDS,
            {
                "member": who.member.pk if who.member else None,
                "visitor": who.visitor,
                "address": who.address,
                "workspace": workspace.pk,
                "own": list(own),
            },
        )
        of_member, of_visitor, of_address = cursor.fetchone()
    if (
        of_member >= workspace.max_live_holds_per_member
        or of_visitor >= workspace.max_live_holds_per_visitor
        or of_address >= workspace.max_live_holds_per_address
    ):
        raise TooManyHolds
