"""Where one run of the machine takes place: two workspaces, their rooms and pools, and people.

A run shares no row with another one, so that nothing has to be emptied in between. What it shares
is the sandbox's two accounts, of which it looks at what was made since it began.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from bookings.models import Resource
from config.kernel import clock
from config.kernel.context import SYSTEM
from holds.claims import Claimant
from members.models import Member, Workspace
from payments import credits as ledger
from tests.core.raw import sql
from tests.factories import (
    CategoryFactory,
    LocationFactory,
    MemberFactory,
    PoolFactory,
    ResourceFactory,
    WorkspaceFactory,
    at,
    make_add_on,
)

WORKSPACES, PLACES, PEOPLE = 2, 3, 4
# Free until it starts, less a fee; and, seven days ahead, half of it.
_TERMS: list[dict[str, Any]] = [
    {"cancel_free_hours": 0, "cancel_fee_minor": 250, "goodwill_credit_minor": 500},
    {
        "cancel_free_hours": 24 * 30,
        "cancel_partial_hours": 24,
        "cancel_partial_percent": 50,
        "application_fee_basis_points": 250,
        "takes_delayed_methods": True,
        "credit_valid_days": 30,
        "tax_basis_points": 1500,
    },
]


@dataclass
class World:
    """`places[w]` are a workspace's two rooms and its pool of two, which is offered with the rooms
    as well; `began` is Stripe's time.
    """

    account: str
    began: int = 0
    day: datetime = field(default_factory=lambda: at(0))
    workspaces: list[Workspace] = field(default_factory=list)
    places: list[list[Resource]] = field(default_factory=list)
    people: list[Claimant] = field(default_factory=list)
    bookings: list[UUID] = field(default_factory=list)

    @property
    def workspace_ids(self) -> list[UUID]:
        return [workspace.pk for workspace in self.workspaces]

    @property
    def members(self) -> list[Member]:
        return [person.member for person in self.people if person.member is not None]


def make(account: str) -> World:
    """A world in which nothing has been booked; the first member has credit in both workspaces."""
    world = World(account, began=int(clock.now().timestamp()))
    connected = {"charges": Workspace.Charges.DIRECT, "stripe_account_id": account}
    for terms in (_TERMS[0], _TERMS[1] | connected):
        workspace = WorkspaceFactory(**terms)
        world.workspaces.append(workspace)
        world.places.append(_places(workspace))
    first, second = MemberFactory.create_batch(2)
    world.people = [
        Claimant(member=first, visitor=f"first {first.pk}"),
        Claimant(member=second, visitor=f"second {second.pk}"),
        Claimant(email=f"guest-{second.pk}@example.test", visitor=f"guest {second.pk}"),
        Claimant(visitor=f"nobody {second.pk}"),
    ]
    for workspace in world.workspaces:
        ledger.issue(
            workspace=workspace,
            member=first,
            amount_minor=6000,
            reason="To begin with",
            source="test",
            key="to begin with",
            actor=SYSTEM,
        )
    return world


def _places(workspace: Workspace) -> list[Resource]:
    shared = {
        "workspace": workspace,
        "location": LocationFactory(workspace=workspace),
        "category": CategoryFactory(workspace=workspace),
    }
    rooms = ResourceFactory.create_batch(2, **shared)
    pool = PoolFactory(capacity=2, **shared)
    for room in rooms:
        make_add_on(room, pool, price_kind="per_hour", amount_minor=700)
    return [*rooms, pool]


# --- Time, moved by hand ------------------------------------------------------------------------


def minutes_pass(world: World) -> None:
    """What has been decided and has ended in this world is ten minutes older."""
    sql(
        "UPDATE payments_payment p SET created_at = p.created_at - interval '10 min',"
        " decided_at = p.decided_at - interval '10 min' FROM payments_due d"
        " WHERE d.id = p.due_id AND d.workspace_id = ANY(%s)",
        world.workspace_ids,
    )
    sql(
        "UPDATE payments_checkout c SET ended_at = c.ended_at - interval '10 min'"
        " FROM payments_due d WHERE d.id = c.due_id AND d.workspace_id = ANY(%s)",
        world.workspace_ids,
    )
    sql(
        "UPDATE holds_hold SET ended_at = ended_at - interval '10 min'"
        " WHERE workspace_id = ANY(%s) AND ended_at IS NOT NULL",
        world.workspace_ids,
    )


def deadlines_pass(world: World) -> None:
    """Who was asked to pay again has not done so in time."""
    sql(
        "UPDATE payments_due SET pay_again_until = clock_timestamp() - interval '1 s'"
        " WHERE workspace_id = ANY(%s) AND pay_again_until IS NOT NULL",
        world.workspace_ids,
    )
