"""The catalogue, availability, why not, and a booking's lines and history over HTTP."""

from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from bookings import near
from bookings.api_public import (
    public_offers,
    public_prices,
    public_resources,
    shown_to,
    viewer_of,
)
from bookings.api_schemas import (
    AvailabilitySchema,
    EventSchema,
    ExplanationSchema,
    ResourcePageSchema,
    ResourceSchema,
)
from bookings.availability import Availability, slots
from bookings.explain import Reason, explain
from bookings.local_time import repeated
from bookings.models import AddOn, Booking, BookingEvent, Location, Resource
from bookings.nearest import free_throughout
from bookings.remembered import next_of_many, remembered
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from bookings.shown_prices import price_json
from bookings.visibility import OPERATOR, Viewer, visible
from config.api import ApiView, Query, money, rfc3339, rfc3339_or_none
from config.api_schemas import AGE, PAGING, answers, page_of, query, several
from config.kernel.errors import DomainError, InvalidInput, NotFound
from config.pagination import paginated
from members.models import Workspace

MINUTE = 60
MAX_RANGE = timedelta(days=62)
MAX_RANGE_MINUTES = 62 * 24 * 60
MAX_QUANTITY = 100_000
CATALOGUE_ORDER = ["position", "name", "id"]


class RangeTooLong(DomainError):
    code = "range_too_long"
    status = 400
    detail = "Ask for at most 62 days at once."


# --- Endpoints ----------------------------------------------------------------------------------


class ResourceListView(ApiView):
    """What can be booked here."""

    publishable = frozenset({"GET"})

    @extend_schema(
        operation_id="resources_list",
        tags=["resources"],
        parameters=[
            query("q", str, "Words in the name, description, category or location.", high=200),
            query("location", str, "Id or slug.", high=200),
            several("mode", Resource.Mode.values, "How it is booked."),
            query("category", str, "Id or slug.", high=200),
            query("seats", int, "At least this many.", low=1, high=MAX_QUANTITY),
            query("free_from", datetime, "With `free_to`: free throughout that window."),
            query("free_to", datetime, "With `free_from`; at most 62 days after it."),
            query(
                "quantity",
                int,
                "With `free_from`: units free at once.",
                low=1,
                high=MAX_QUANTITY,
                default=1,
            ),
            query("near", str, "`latitude,longitude` in degrees: the nearest first.", high=200),
            query(
                "next_free",
                int,
                "Minutes; says when each is next free for that long.",
                low=1,
                high=MAX_RANGE_MINUTES,
            ),
            *PAGING,
            AGE,
        ],
        responses=answers({200: ResourcePageSchema}, raises=[RangeTooLong]),
    )
    def get(self, request: Request) -> Response:
        """The resources that can be booked here, or those that a search describes."""
        asked = Query(request)
        viewer = viewer_of(self)
        found = _found(asked, self.workspace, viewer)
        rows, order = _nearest_first(asked, self.workspace, found)
        minutes = asked.integer("next_free", 1, MAX_RANGE_MINUTES)
        page = paginated(
            request,
            rows,
            order,
            lambda row: shown_to(viewer, resource_json(row, self.workspace, request)),
        )
        if minutes is not None:
            _say_next_free(page.data["results"], self.workspace, minutes)
        return page


class ResourceView(ApiView):
    publishable = frozenset({"GET"})

    @extend_schema(
        operation_id="resources_read",
        tags=["resources"],
        parameters=[AGE],
        responses=answers({200: ResourceSchema}),
    )
    def get(self, request: Request, resource_id: UUID) -> Response:
        """One resource with its rules and prices."""
        viewer = viewer_of(self)
        row = _catalogue(self.workspace, viewer).filter(pk=resource_id).first()
        if row is None:
            raise NotFound("There is no such resource here.")
        return Response(shown_to(viewer, resource_json(row, self.workspace, request)))


class AvailabilityView(ApiView):
    publishable = frozenset({"GET"})

    @extend_schema(
        operation_id="resources_availability",
        tags=["resources"],
        parameters=[
            query("from", datetime, "The first moment of the range.", required=True),
            query("to", datetime, "After `from`, by at most 62 days.", required=True),
            query(
                "duration",
                int,
                "Minutes; asks for `slots`, the bookable starts.",
                low=1,
                high=MAX_RANGE_MINUTES,
            ),
            query(
                "days",
                int,
                "Days or nights, where it is booked by them; asks for `slots`.",
                low=1,
                high=365,
            ),
            query(
                "step",
                int,
                "Minutes between starts; the resource's unless given.",
                low=5,
                high=24 * 60,
            ),
            query("quantity", int, "Units wanted.", low=1, high=MAX_QUANTITY, default=1),
            AGE,
        ],
        responses=answers({200: AvailabilitySchema}, raises=[RangeTooLong]),
    )
    def get(self, request: Request, resource_id: UUID) -> Response:
        """When it is free. This may be stale by the time it is read: a hold decides."""
        asked = Query(request)
        start, end = asked.window("from", "to")
        if end - start > MAX_RANGE:
            raise RangeTooLong(field="to")
        duration = asked.integer("duration", 1, MAX_RANGE_MINUTES)
        step = asked.integer("step", 5, 24 * 60)
        quantity = asked.integer("quantity", 1, MAX_QUANTITY, 1)
        rules = _rules(self.workspace, resource_id, viewer_of(self))
        duration = _days_asked(asked, rules) or duration
        known = remembered(rules=[rules], start=start, end=end)[resource_id]
        body = _availability_json(known, start, end, quantity)
        if duration is not None:
            body["slots"] = _slots_json(known, duration, step, quantity)
        return Response(body)


class ExplainView(ApiView):
    @extend_schema(
        operation_id="resources_explain",
        tags=["resources"],
        parameters=[
            query("start", datetime, "The window's first moment.", required=True),
            query("end", datetime, "After `start`, by at most 62 days.", required=True),
            query("quantity", int, "Units wanted.", low=1, high=MAX_QUANTITY, default=1),
        ],
        responses=answers({200: ExplanationSchema}, raises=[RangeTooLong]),
    )
    def get(self, request: Request, resource_id: UUID) -> Response:
        """Why a window is or is not free: hours, notice, block, hold and its end, booking."""
        asked = Query(request)
        start, end = asked.window("start", "end")
        if end - start > MAX_RANGE:
            raise RangeTooLong(field="end")
        quantity = asked.integer("quantity", 1, MAX_QUANTITY, 1)
        rules = _rules(self.workspace, resource_id, OPERATOR)
        reasons = explain(rules=rules, start=start, end=end, quantity=quantity)
        return Response(
            {
                "resource": str(resource_id),
                "start": rfc3339(start),
                "end": rfc3339(end),
                "quantity": quantity,
                "free": not reasons,
                "reasons": [_reason_json(reason) for reason in reasons],
            }
        )


class BookingEventsView(ApiView):
    @extend_schema(
        operation_id="bookings_events",
        tags=["bookings"],
        parameters=PAGING,
        responses=answers({200: page_of(EventSchema, "Event")}),
    )
    def get(self, request: Request, booking_id: UUID) -> Response:
        """What happened to a booking, oldest first."""
        if not Booking.objects.filter(pk=booking_id, workspace=self.workspace).exists():
            raise NotFound("There is no such booking here.")
        rows = BookingEvent.objects.filter(booking_id=booking_id)
        return paginated(request, rows, ["at", "id"], event_json)


# --- Representations, also for the endpoints to the right ---------------------------------------


def resource_json(row: Resource, workspace: Workspace, request: Request) -> dict[str, Any]:
    """A resource of `_catalogue`: nothing here asks the database again."""
    return {
        "id": str(row.id),
        "slug": row.slug,
        "name": row.name,
        "description": row.description,
        "mode": row.mode,
        "capacity": row.capacity,
        "seats": row.seats,
        "bookable": row.is_active,
        "visibility": row.visibility,
        "category": _named(row.category),
        "location": _named(row.location)
        | {
            "address": row.location.address,
            "timezone": row.location.timezone,
            "latitude": row.location.latitude,
            "longitude": row.location.longitude,
        },
        "picture": request.build_absolute_uri(row.picture.url) if row.picture else None,
        "picture_alt": row.picture_alt,
        "rules": _rules_json(row, workspace),
        "prices": [price_json(price, workspace.currency) for price in row.price_rules.all()],
        "only_with_others": row.only_with_others,
        "add_ons": [_offer_json(offer, workspace.currency) for offer in row.add_ons.all()],
        **_distance_json(row),
    }


def event_json(event: BookingEvent) -> dict[str, Any]:
    return {
        "id": str(event.id),
        "at": rfc3339(event.at),
        "kind": event.kind,
        "from_state": event.from_state or None,
        "to_state": event.to_state or None,
        "version": event.version,
        "actor": {
            "kind": event.actor_kind,
            "id": event.actor_id,
            "label": event.actor_label,
        },
        "reason": event.reason,
    }


# --- Finding ------------------------------------------------------------------------------------


def _catalogue(workspace: Workspace, viewer: Viewer) -> QuerySet[Resource]:
    """A workspace's resources with all that `resource_json` shows: three queries."""
    prices = public_prices(viewer).order_by("kind", "amount_minor", "id")
    offers = public_offers(viewer).filter(Q(pool__is_active=True) | Q(is_required=True))
    offers = offers.select_related("pool").order_by("position", "pool__name", "id")
    return (
        public_resources(viewer)
        .filter(workspace=workspace)
        .select_related("category", "location")
        .prefetch_related(Prefetch("price_rules", prices), Prefetch("add_ons", offers))
    )


def _found(asked: Query, workspace: Workspace, viewer: Viewer) -> QuerySet[Resource]:
    """Bookable resources that the search describes."""
    rows = _catalogue(workspace, viewer).filter(is_active=True, only_with_others=False)
    for word in asked.text("q").split()[:10]:
        rows = rows.filter(
            Q(name__icontains=word)
            | Q(description__icontains=word)
            | Q(category__name__icontains=word)
            | Q(location__name__icontains=word)
        )
    for name in ("location", "category"):
        if value := asked.text(name):
            rows = rows.filter(_by_id_or_slug(name, value))
    if modes := asked.texts("mode", list(Resource.Mode.values)):
        rows = rows.filter(mode__in=modes)
    if seats := asked.integer("seats", 1, MAX_QUANTITY):
        rows = rows.filter(seats__gte=seats)
    return _only_free(asked, workspace, rows)


def _by_id_or_slug(name: str, value: str) -> Q:
    try:
        return Q(**{f"{name}_id": UUID(value)})
    except ValueError:
        return Q(**{f"{name}__slug": value})


def _only_free(asked: Query, workspace: Workspace, rows: QuerySet[Resource]) -> QuerySet[Resource]:
    """With `free_from` and `free_to`: resources of which enough units are free throughout."""
    start, end = asked.moment("free_from"), asked.moment("free_to")
    quantity = asked.integer("quantity", 1, MAX_QUANTITY, 1)
    if start is None and end is None:
        return rows
    if start is None or end is None:
        raise InvalidInput(
            "`free_from` and `free_to` go together.",
            field="free_from" if start is None else "free_to",
        )
    if end <= start:
        raise InvalidInput("The end comes after the start.", field="free_to")
    if end - start > MAX_RANGE:
        raise RangeTooLong(field="free_to")
    every = list(rules_for(workspace_id=workspace.id).values())
    known = remembered(rules=every, start=start, end=end)
    free = [
        rules.resource_id
        for rules in every
        if free_throughout(known[rules.resource_id], Window(start, end)) >= quantity
    ]
    return rows.filter(pk__in=free)


def _days_asked(asked: Query, rules: Rules) -> int | None:
    """The minutes that a number of days or nights stands for."""
    count = asked.integer("days", 1, 365)
    if count is None:
        return None
    if rules.days is None:
        raise InvalidInput("It is booked by the clock: ask with `duration`.", field="days")
    return rules.days.seconds(count) // MINUTE


def _nearest_first(
    asked: Query, workspace: Workspace, rows: QuerySet[Resource]
) -> tuple[QuerySet[Resource], list[str]]:
    """With `near`: by distance, then by name; a location that says not where it is comes last."""
    if not (text := asked.text("near")):
        return rows, CATALOGUE_ORDER
    here = near.point_from(text)
    if here is None:
        raise InvalidInput("Give latitude and longitude, such as -36.85,174.76.", field="near")
    places = near.metres_from(here, Location.objects.filter(workspace=workspace))
    return rows.annotate(distance_metres=near.distance(places)), ["distance_metres", "name", "id"]


def _distance_json(row: Resource) -> dict[str, Any]:
    metres = getattr(row, "distance_metres", None)
    if metres is None:
        return {}
    return {"distance_metres": None if metres == near.NOWHERE_METRES else metres}


def _say_next_free(found: list[dict[str, Any]], workspace: Workspace, minutes: int) -> None:
    """When each resource of a page is next free for so long, within two weeks: two queries."""
    ids = [UUID(each["id"]) for each in found]
    rules = rules_for(workspace_id=workspace.id, resource_ids=ids)
    soonest = next_of_many(list(rules.values()), minutes * MINUTE)
    for each in found:
        window = soonest.get(UUID(each["id"]))
        each["next_free"] = window and {"start": rfc3339(window.start), "end": rfc3339(window.end)}


def _rules(workspace: Workspace, resource_id: UUID, viewer: Viewer) -> Rules:
    known = rules_for(workspace_id=workspace.id, resource_ids=[resource_id])
    found = visible(known, viewer).get(resource_id)
    if found is None:
        raise NotFound("There is no such resource here, or it cannot be booked now.")
    return found


# --- Small pieces -------------------------------------------------------------------------------


def _named(row: Any) -> dict[str, Any]:
    return {"id": str(row.id), "slug": row.slug, "name": row.name}


def _rules_json(row: Resource, workspace: Workspace) -> dict[str, Any]:
    by_day = row.booking_unit == Resource.Unit.DAY
    return {
        "step_seconds": row.step_seconds,
        "min_seconds": row.min_seconds,
        "max_seconds": row.max_seconds,
        "buffer_before_seconds": row.buffer_before_seconds,
        "buffer_after_seconds": row.buffer_after_seconds,
        "notice_seconds": row.notice_seconds,
        "horizon_days": row.horizon_days,
        "horizon_opens_at": _clock(row.horizon_opens_at),
        "booking_unit": row.booking_unit,
        "day_starts_at": _clock(row.day_starts_at) if by_day else None,
        "day_ends_at": _clock(row.day_ends_at) if by_day else None,
        "min_days": row.min_days if by_day else None,
        "max_days": row.max_days if by_day else None,
        "hold_ttl_seconds": row.hold_ttl_seconds or workspace.hold_ttl_seconds,
    }


def _clock(local: time | None) -> str | None:
    return f"{local:%H:%M}" if local else None


def _offer_json(offer: AddOn, currency: str) -> dict[str, Any]:
    return {
        "resource": str(offer.pool_id),
        "name": offer.pool.name,
        "required": offer.is_required,
        "max_per_unit": offer.max_per_unit,
        "price": {
            "kind": offer.price_kind,
            "label": offer.pool.name,
            "amount": money(offer.amount_minor, currency),
        },
    }


def _availability_json(
    known: Availability, start: datetime, end: datetime, quantity: int
) -> dict[str, Any]:
    return {
        "resource": str(known.rules.resource_id),
        "timezone": known.rules.timezone,
        "start": rfc3339(start),
        "end": rfc3339(end),
        "as_of": rfc3339(known.as_of),
        "free": [
            {"start": rfc3339(f.start), "end": rfc3339(f.end), "remaining": f.remaining}
            for f in known.free
            if f.remaining >= quantity
        ],
    }


def _slots_json(
    known: Availability, duration: int, step: int | None, quantity: int
) -> list[dict[str, Any]]:
    """Bookable starts; lengths in minutes here, in seconds below."""
    found = slots(
        known,
        duration_seconds=duration * MINUTE,
        step_seconds=step * MINUTE if step else None,
        quantity=quantity,
    )
    return [
        {
            "start": rfc3339(slot.start),
            "end": rfc3339(slot.end),
            "remaining": slot.remaining,
            "price": slot.price.as_json(),
            "local_start": slot.start.astimezone(known.rules.zone).isoformat(),
            "label": repeated(slot.start, known.rules.zone) or None,
            "days": known.rules.days and known.rules.days_of(Window(slot.start, slot.end)),
        }
        for slot in found
    ]


def _reason_json(reason: Reason) -> dict[str, Any]:
    return {
        "code": reason.code,
        "detail": reason.detail,
        "start": rfc3339_or_none(reason.start),
        "end": rfc3339_or_none(reason.end),
        "until": rfc3339_or_none(reason.until),
        "booking": reason.booking_id and str(reason.booking_id),
        "reference": reason.reference or None,
    }
