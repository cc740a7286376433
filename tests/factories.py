"""Rows for tests, as plainly as the rules allow: a workspace, a room in it, people, keys.

`make_room()` is what most tests want: an exclusive room open around the clock, in 15-minute steps
from 15 minutes to a day, NZ$45 an hour, bookable a year ahead, with no notice and no buffers.
"""

import hashlib
import secrets
from datetime import UTC, datetime, time, timedelta
from typing import Any

import factory
from factory.django import DjangoModelFactory

from bookings.models import AddOn, Block, Category, Location, OpeningHours, PriceRule, Resource
from members import api_keys
from members.models import ApiKey, Member, Staff, Workspace

MINUTE = 60
DAY = 24 * 60 * MINUTE


class WorkspaceFactory(DjangoModelFactory):
    class Meta:
        model = Workspace

    name = factory.Sequence(lambda n: f"Workspace {n}")
    slug = factory.Sequence(lambda n: f"workspace-{n}")
    timezone = "Pacific/Auckland"
    currency = "NZD"
    contact_email = "desk@example.test"
    stripe_charges_enabled = factory.LazyAttribute(
        lambda workspace: bool(getattr(workspace, "stripe_account_id", ""))
    )
    stripe_seen_at = factory.LazyFunction(lambda: datetime.now(UTC))


class MemberFactory(DjangoModelFactory):
    class Meta:
        model = Member

    email = factory.Sequence(lambda n: f"member{n}@example.test")
    name = factory.Sequence(lambda n: f"Member {n}")
    password = "!"  # unusable: links by mail sign in


class StaffFactory(DjangoModelFactory):
    """A member with a role in a workspace's admin."""

    class Meta:
        model = Staff

    workspace = factory.SubFactory(WorkspaceFactory)
    member = factory.SubFactory(MemberFactory, is_staff=True)
    role = Staff.Role.OWNER


class CategoryFactory(DjangoModelFactory):
    class Meta:
        model = Category

    workspace = factory.SubFactory(WorkspaceFactory)
    name = "Meeting room"
    slug = factory.Sequence(lambda n: f"category-{n}")


class LocationFactory(DjangoModelFactory):
    """A place that is open around the clock unless `hours=[]` or other spans are given.

    `hours` is a list of (weekday, opens_at, closes_at); weekday 0 is Monday.
    """

    class Meta:
        model = Location
        skip_postgeneration_save = True

    workspace = factory.SubFactory(WorkspaceFactory)
    name = factory.Sequence(lambda n: f"Location {n}")
    slug = factory.Sequence(lambda n: f"location-{n}")
    address = "1 Queen Street, Auckland"
    timezone = factory.LazyAttribute(lambda location: location.workspace.timezone)

    @factory.post_generation
    def hours(location: Location, create: bool, spans: Any, **kwargs: Any) -> None:  # noqa: N805
        if not create:
            return
        around_the_clock = [(weekday, time(0), time(0)) for weekday in range(7)]
        OpeningHours.objects.bulk_create(
            OpeningHours(location=location, weekday=weekday, opens_at=opens, closes_at=closes)
            for weekday, opens, closes in (around_the_clock if spans is None else spans)
        )


class ResourceFactory(DjangoModelFactory):
    """An exclusive room; `price=None` makes it free, `hours=[…]` gives it spans of its own."""

    class Meta:
        model = Resource
        skip_postgeneration_save = True

    workspace = factory.SubFactory(WorkspaceFactory)
    location = factory.SubFactory(LocationFactory, workspace=factory.SelfAttribute("..workspace"))
    category = factory.SubFactory(CategoryFactory, workspace=factory.SelfAttribute("..workspace"))
    name = factory.Sequence(lambda n: f"Room {n}")
    slug = factory.Sequence(lambda n: f"room-{n}")
    seats = 6
    mode = Resource.Mode.EXCLUSIVE
    capacity = 1
    step_seconds = 15 * MINUTE
    min_seconds = 15 * MINUTE
    max_seconds = DAY
    notice_seconds = 0
    horizon_days = 365

    @factory.post_generation
    def price(resource: Resource, create: bool, amount_minor: Any, **kwargs: Any) -> None:  # noqa: N805
        """`price` is minor units an hour: 4500 unless said otherwise, 0 for a free room."""
        if create and amount_minor != 0:
            PriceRule.objects.create(
                resource=resource,
                kind=PriceRule.Kind.PER_HOUR,
                amount_minor=4500 if amount_minor is None else amount_minor,
            )

    @factory.post_generation
    def hours(resource: Resource, create: bool, spans: Any, **kwargs: Any) -> None:  # noqa: N805
        if create and spans:
            OpeningHours.objects.bulk_create(
                OpeningHours(resource=resource, weekday=weekday, opens_at=opens, closes_at=closes)
                for weekday, opens, closes in spans
            )


class PoolFactory(ResourceFactory):
    """Interchangeable units: eleven bikes unless told otherwise."""

    name = factory.Sequence(lambda n: f"City bike {n}")
    slug = factory.Sequence(lambda n: f"city-bike-{n}")
    mode = Resource.Mode.POOLED
    capacity = 11
    seats = None


class BlockFactory(DjangoModelFactory):
    class Meta:
        model = Block

    resource = factory.SubFactory(ResourceFactory)
    workspace = factory.SelfAttribute("resource.workspace")
    during = factory.LazyFunction(lambda: (at(9), at(10)))
    quantity = 1
    reason = "Deep cleaning"


# --- Shorthands ---------------------------------------------------------------------------------


def make_room(**overrides: Any) -> Resource:
    """A room open around the clock, 15-minute steps, NZ$45 an hour, in a workspace of its own."""
    return ResourceFactory(**overrides)


def make_pool(**overrides: Any) -> Resource:
    """Eleven interchangeable bikes under the same rules."""
    return PoolFactory(**overrides)


def make_add_on(resource: Resource, pool: Resource | None = None, **overrides: Any) -> AddOn:
    """A pool of the resource's workspace (four helmets) that is offered with it, free of charge."""
    if pool is None:
        pool = PoolFactory(
            workspace=resource.workspace, location=resource.location, name="Helmet", capacity=4
        )
    return AddOn.objects.create(resource=resource, pool=pool, **overrides)


def make_api_key(
    *, workspace: Workspace, scope: str = ApiKey.Scope.WRITE, **overrides: Any
) -> tuple[ApiKey, str]:
    """A key and its secret, without going through the service: the digest is its SHA-256."""
    secret = "sk_" + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        workspace=workspace,
        scope=scope,
        hint=secret[:7],
        digest=hashlib.sha256(secret.encode()).hexdigest(),
        **({"name": "Test key"} | overrides),
    )
    return key, secret


def make_publishable_key(*, workspace: Workspace, origins: list[str] | None = None) -> str:
    """A publishable key of `https://club.example`, unless other origins are named."""
    wanted = ["https://club.example"] if origins is None else origins
    made = api_keys.create_publishable(workspace=workspace, name="Page", origins=wanted)
    return made.shown


def at(hour: float, *, days: int = 7) -> datetime:
    """That hour (UTC) of the day `days` from today: in the future, on the quarter if `hour` is."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=days, hours=hour)
