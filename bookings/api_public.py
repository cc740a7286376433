"""What of the catalogue a publishable key shows: what the pages show to somebody not signed in."""

from typing import Any

from django.db.models import QuerySet

from bookings.models import AddOn, PriceRule, Resource
from bookings.visibility import GUEST, OPERATOR, Viewer
from config.api import ApiView

_PUBLIC = Resource.Visibility.PUBLIC
# Time around a booking is part of what is taken, and never shown (docs/architecture.md, "Time").
_NOT_SHOWN = ("buffer_before_seconds", "buffer_after_seconds")


def viewer_of(view: ApiView) -> Viewer:
    """Whose eyes see: the operator's for a secret key, a guest's for a publishable one."""
    return GUEST if view.is_public else OPERATOR


def public_resources(viewer: Viewer) -> QuerySet[Resource]:
    rows = Resource.objects.all()
    return rows if viewer.sees_all else rows.filter(visibility=_PUBLIC, is_active=True)


def public_prices(viewer: Viewer) -> QuerySet[PriceRule]:
    """Without the prices of groups, whose very names are not for everybody."""
    rows = PriceRule.objects.all()
    return rows if viewer.sees_all else rows.filter(group=None)


def public_offers(viewer: Viewer) -> QuerySet[AddOn]:
    rows = AddOn.objects.all()
    return rows if viewer.sees_all else rows.filter(pool__visibility=_PUBLIC, pool__is_active=True)


def shown_to(viewer: Viewer, resource: dict[str, Any]) -> dict[str, Any]:
    """A resource's JSON, less what its page does not say."""
    if viewer.sees_all:
        return resource
    rules = {name: value for name, value in resource["rules"].items() if name not in _NOT_SHOWN}
    return resource | {"rules": rules}
