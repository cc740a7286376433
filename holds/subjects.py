"""What is asked for, and who asks."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings.rules import Window
from bookings.visibility import OPERATOR, Viewer
from members.models import Member


@dataclass(frozen=True, slots=True)
class AddOnRequest:
    """So many units of a pool, for a line and its window."""

    resource_id: UUID
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class LineRequest:
    """What is asked for: a resource, a member-facing window, how many, and what goes with them."""

    resource_id: UUID
    start: datetime
    end: datetime
    quantity: int = 1
    add_ons: tuple[AddOnRequest, ...] = ()

    @property
    def window(self) -> Window:
        return Window(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who asks: a member if signed in, the contact given, the browser and the address.

    `limited` says whether the workspace's limits on live holds apply, and that they have only what
    they may see; both guard pages, not secret keys (api.md), which act for the operator.
    `may_exceed` says that staff have confirmed that this one goes beyond what a member may book,
    `approved` that they have decided about it already, `overrides` that they set aside notice,
    horizon and opening hours for it.
    `vouched_for` is an address that a secret key says is the member's: it is priced
    by the groups of that member. What a visitor types is nobody's word.
    """

    member: Member | None = None
    email: str = ""
    name: str = ""
    visitor: str = ""
    address: str | None = None
    limited: bool = False
    vouched_for: str = ""
    may_exceed: bool = False
    approved: bool = False
    overrides: bool = False

    @property
    def viewer(self) -> Viewer:
        """Whose eyes decide what there is for them."""
        return Viewer(self.member) if self.limited else OPERATOR
