"""What the demo offers beside rooms: add-ons, a price until noon, one for residents, a code."""

from collections.abc import Sequence
from datetime import time

from bookings.models import AddOn, Discount, PriceRule, Resource
from members.models import GroupMembership, Member, MemberGroup, Workspace

CODE = "WELCOME10"


def build(workspace: Workspace, resources: Sequence[Resource], resident: Member) -> None:
    """Write all of it; `resident` has the residents' prices."""
    by_slug = {resource.slug: resource for resource in resources}
    bikes = [by_slug["city-bikes-britomart"], by_slug["city-bikes-ponsonby"]]
    _with_bikes(bikes)
    _prices(by_slug["court-1"], by_slug["rangitoto"], _residents(workspace, resident))
    Discount.objects.create(workspace=workspace, code=CODE, percent=10, max_uses_each=3)


def _with_bikes(bikes: Sequence[Resource]) -> None:
    """Forty helmets for whoever wants one, and a lock with every bike."""
    locks = _pool(bikes[0], "Lock", 20)
    helmets = _pool(bikes[0], "Helmet", 40)
    for bike in bikes:
        AddOn.objects.create(resource=bike, pool=locks, is_required=True, position=0)
        AddOn.objects.create(
            resource=bike, pool=helmets, price_kind="per_booking", amount_minor=300, position=1
        )


def _pool(beside: Resource, name: str, capacity: int) -> Resource:
    return Resource.objects.create(
        workspace=beside.workspace,
        location=beside.location,
        category=beside.category,
        name=name,
        slug=name.lower(),
        mode=Resource.Mode.POOLED,
        capacity=capacity,
        only_with_others=True,
        position=100,
    )


def _residents(workspace: Workspace, resident: Member) -> MemberGroup:
    group = MemberGroup.objects.create(workspace=workspace, name="Residents", slug="residents")
    GroupMembership.objects.create(group=group, member=resident)
    return group


def _prices(court: Resource, room: Resource, residents: MemberGroup) -> None:
    PriceRule.objects.create(
        resource=court,
        kind="per_hour",
        amount_minor=2000,
        label="Per hour until noon",
        priority=1,
        to_time=time(12),
    )
    PriceRule.objects.create(
        resource=room,
        kind="per_hour",
        amount_minor=3600,
        label="Per hour for residents",
        priority=1,
        group=residents,
    )
