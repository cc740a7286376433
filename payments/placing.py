"""Holding what a page's form asks for: the one way for every page that has such a button."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest

from holds.claims import Claimant, LineRequest
from members.idempotency import Answer
from members.models import Workspace
from members.pages import actor_of, address_of, member_of, submitted
from members.visitors import visitor_of
from payments import holding


def placed_once(
    request: HttpRequest,
    operation: str,
    asked: dict[str, Any],
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    email: str = "",
    name: str = "",
) -> Answer:
    """Hold all lines for whoever sent this form, however often it arrives: 201 with the token.

    Their own holds in the way are replaced, open Checkouts closed first. Under the e-mail and name
    given, else the member's. Raises what `holding.placed` and the claim raise.
    """
    who = claimant_of(request, email=email, name=name)

    def work() -> Answer:
        own = holding.own_in_the_way(
            workspace=workspace, lines=lines, visitor=who.visitor, member=who.member
        )
        hold = holding.place(
            workspace=workspace, lines=lines, claimant=who, actor=actor_of(request), token=own
        )
        return Answer(201, {"token": hold.token})

    return holding.placed(lambda: submitted(request, operation, asked, work))


def claimant_of(request: HttpRequest, *, email: str = "", name: str = "") -> Claimant:
    """Who asks: the member if signed in, their browser and address; the limits apply."""
    return Claimant(
        member=member_of(request),
        email=email,
        name=name,
        visitor=visitor_of(request),
        address=address_of(request),
        limited=True,
    )
