"""What the visitor holds right now, for the top of the pages where they look for more."""

from typing import Any

from django import template
from django.db.models import Prefetch

from bookings.models import Line
from config.kernel import clock
from holds.selectors import Held, is_live, live_of_visitor, with_moves
from members.pages import member_of
from members.visitors import visitor_of

register = template.Library()


@register.inclusion_tag("holds/_held.html", takes_context=True)
def held_by_me(context: dict[str, Any]) -> dict[str, Any]:
    """Their live holds in this workspace, soonest to end first; three queries, never more."""
    request, workspace = context["request"], context.get("workspace")
    if workspace is None:
        return {"holds": []}
    return {"holds": live_holds(visitor_of(request), member_of(request), workspace)}


def live_holds(visitor: str, member: Any, workspace: Any = None) -> list[Held]:
    """Holds that still count, with their lines and places, and what those of changes move."""
    lines = Prefetch(
        "booking__lines", Line.objects.select_related("resource__location"), to_attr="shown"
    )
    found = live_of_visitor(workspace=workspace, visitor=visitor, member=member)
    holds = list(found.select_related("change").prefetch_related(lines))
    if not holds:
        return []
    now = clock.now()
    return with_moves([hold for hold in holds if is_live(hold, now)])
