"""The catalogue and bookings as the OpenAPI description shows them."""

from rest_framework import serializers

from bookings.models import AddOn, PriceRule, Resource
from bookings.states import BOOKING_STATES, CHANGE_STATES
from config.api_schemas import MoneySchema, WindowSchema, page_of

BOOKING_STATE = [(state, state) for state in BOOKING_STATES.states]
CHANGE_STATE = [(state, state) for state in CHANGE_STATES.states]
_FOR_SERVERS = "Not shown to publishable keys."


def stale() -> serializers.BooleanField:
    """The field of answers that `last_answers` gives."""
    return serializers.BooleanField(
        required=False, help_text="True while the database is gone: the last known answer."
    )


class NamedSchema(serializers.Serializer):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()


class LocationSchema(NamedSchema):
    address = serializers.CharField()
    timezone = serializers.CharField(help_text="IANA name, such as Pacific/Auckland.")
    latitude = serializers.FloatField(allow_null=True)
    longitude = serializers.FloatField(allow_null=True)


class RulesSchema(serializers.Serializer):
    """All in seconds but the horizon, which is in days."""

    step_seconds = serializers.IntegerField()
    min_seconds = serializers.IntegerField()
    max_seconds = serializers.IntegerField()
    buffer_before_seconds = serializers.IntegerField(required=False, help_text=_FOR_SERVERS)
    buffer_after_seconds = serializers.IntegerField(required=False, help_text=_FOR_SERVERS)
    notice_seconds = serializers.IntegerField()
    horizon_days = serializers.IntegerField()
    horizon_opens_at = serializers.CharField(
        allow_null=True, help_text="Local time at which the next day is released, as 09:00."
    )
    booking_unit = serializers.ChoiceField(
        Resource.Unit.choices, help_text="`day`: from check-in to check-out, in whole days."
    )
    day_starts_at = serializers.CharField(allow_null=True, help_text="Check-in, local.")
    day_ends_at = serializers.CharField(
        allow_null=True, help_text="Check-out, local; not after check-in: on the next day."
    )
    min_days = serializers.IntegerField(allow_null=True)
    max_days = serializers.IntegerField(allow_null=True)
    hold_ttl_seconds = serializers.IntegerField()


class PriceSchema(serializers.Serializer):
    kind = serializers.ChoiceField(PriceRule.Kind.choices)
    label = serializers.CharField()  # type: ignore[assignment]
    amount = MoneySchema()
    priority = serializers.IntegerField(
        help_text="Of those that apply at a moment, 0 add up; from 1 on they stand in their place."
    )
    step_seconds = serializers.IntegerField(allow_null=True, help_text="Of `per_step`.")
    from_seconds = serializers.IntegerField(help_text="Of the booking's time, from its start.")
    until_seconds = serializers.IntegerField(allow_null=True)
    weekdays = serializers.ListField(
        child=serializers.IntegerField(), help_text="0 is Monday; empty for every day."
    )
    from_time = serializers.TimeField(allow_null=True, help_text="On the location's clock.")
    to_time = serializers.TimeField(allow_null=True)
    first_day = serializers.DateField(allow_null=True)
    last_day = serializers.DateField(allow_null=True)
    from_quantity = serializers.IntegerField()
    group = serializers.UUIDField(allow_null=True, help_text="For members of this group alone.")


class OfferPriceSchema(serializers.Serializer):
    kind = serializers.ChoiceField(AddOn.PriceKind.choices)
    label = serializers.CharField()  # type: ignore[assignment]
    amount = MoneySchema()


class OfferSchema(serializers.Serializer):
    """A pool that can be booked with the resource, in a line's `add_ons`."""

    resource = serializers.UUIDField()
    name = serializers.CharField()
    required = serializers.BooleanField(  # type: ignore[assignment]
        help_text="At least one for each unit of the line."
    )
    max_per_unit = serializers.IntegerField(help_text="At most so many for each unit of the line.")
    price = OfferPriceSchema(help_text="Takes the place of the pool's own prices.")


class ResourceSchema(serializers.Serializer):
    stale = stale()
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    mode = serializers.ChoiceField(Resource.Mode.choices)
    capacity = serializers.IntegerField()
    seats = serializers.IntegerField(allow_null=True)
    bookable = serializers.BooleanField()
    visibility = serializers.ChoiceField(Resource.Visibility.choices)
    category = NamedSchema()
    location = LocationSchema()
    picture = serializers.URLField(allow_null=True)
    picture_alt = serializers.CharField()
    rules = RulesSchema()
    prices = PriceSchema(many=True)
    only_with_others = serializers.BooleanField(
        help_text="A pool that is booked as an add-on only, and not listed."
    )
    add_ons = OfferSchema(many=True)
    distance_metres = serializers.IntegerField(
        required=False, allow_null=True, help_text="With `near`; null where nobody said where."
    )
    next_free = WindowSchema(required=False, allow_null=True, help_text="With `next_free`.")


class ResourcePageSchema(page_of(ResourceSchema, "Resource")):  # type: ignore[misc]
    stale = stale()


class FreeSchema(serializers.Serializer):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    remaining = serializers.IntegerField()


class SlotSchema(FreeSchema):
    price = MoneySchema(help_text="For the quantity asked for.")
    local_start = serializers.DateTimeField(help_text="The start with the location's offset.")
    label = serializers.CharField(  # type: ignore[assignment]
        allow_null=True,
        help_text="Which of the two, where that local time comes twice: `summer time`.",
    )
    days = serializers.IntegerField(
        allow_null=True, help_text="Days or nights, where it is booked by them."
    )


class AvailabilitySchema(serializers.Serializer):
    resource = serializers.UUIDField()
    timezone = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    as_of = serializers.DateTimeField(help_text="How fresh this is.")
    stale = stale()
    free = FreeSchema(many=True)
    slots = SlotSchema(many=True, required=False, help_text="With `duration`: bookable starts.")


class ReasonSchema(serializers.Serializer):
    code = serializers.CharField(
        help_text="hours, notice, horizon, duration, step, quantity, block, hold, booking, buffer"
    )
    detail = serializers.CharField()
    start = serializers.DateTimeField(allow_null=True)
    end = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True, help_text="When a hold ends by itself.")
    booking = serializers.UUIDField(allow_null=True)
    reference = serializers.CharField(allow_null=True, help_text="The booking's.")


class ExplanationSchema(serializers.Serializer):
    resource = serializers.UUIDField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    quantity = serializers.IntegerField()
    free = serializers.BooleanField()
    reasons = ReasonSchema(many=True)


class TaxSchema(serializers.Serializer):
    name = serializers.CharField()
    basis_points = serializers.IntegerField(help_text="1500 is 15 per cent.")
    inclusive = serializers.BooleanField(help_text="Within the prices, or added to them.")
    amount = MoneySchema()
    net = MoneySchema()


class PricePartSchema(serializers.Serializer):
    """`discount` is below zero; `tax` that prices include costs nothing more."""

    label = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.CharField(help_text="A kind of price, `discount`, `rounding` or `tax`.")
    quantity = serializers.CharField(help_text="Hours, steps, days or how many, as a decimal.")
    unit = MoneySchema()
    amount = MoneySchema()
    tax = TaxSchema(required=False)


class DiscountSchema(serializers.Serializer):
    code = serializers.CharField()
    amount = MoneySchema(help_text="What it takes off.")


class AddOnLineSchema(serializers.Serializer):
    resource = serializers.UUIDField()
    quantity = serializers.IntegerField()
    amount = MoneySchema()


class LineSchema(serializers.Serializer):
    resource = serializers.UUIDField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    quantity = serializers.IntegerField()
    amount = MoneySchema(help_text="Without its add-ons.")
    parts = PricePartSchema(many=True, help_text="They add up to the amount.")
    add_ons = AddOnLineSchema(many=True)


class BookedLineSchema(LineSchema):
    cancelled_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When it was given up while the rest stayed; its amount is what is kept of it.",
    )


class BookingBriefSchema(serializers.Serializer):
    """What a hold says of its booking."""

    id = serializers.UUIDField()
    reference = serializers.CharField(help_text="Short, for people.")
    state = serializers.ChoiceField(BOOKING_STATE)
    version = serializers.IntegerField()
    lines = BookedLineSchema(many=True)
    total = MoneySchema()
    discount = DiscountSchema(allow_null=True)


class ChangedLineSchema(serializers.Serializer):
    """A line as a change makes it."""

    line = serializers.IntegerField(help_text="Its index in the booking's lines.")
    resource = serializers.UUIDField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    quantity = serializers.IntegerField()
    amount = MoneySchema(help_text="Without its add-ons.")
    add_ons = AddOnLineSchema(many=True, help_text="They go with their line.")


class ChangeSchema(serializers.Serializer):
    """What is to become of a confirmed booking, or became of it."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(CHANGE_STATE)
    difference = MoneySchema(help_text="What it costs more; below zero: less.")
    lines = ChangedLineSchema(many=True)


class EventSchema(serializers.Serializer):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    from_state = serializers.CharField(allow_null=True)
    to_state = serializers.CharField(allow_null=True)
    version = serializers.IntegerField()
    actor = serializers.DictField(child=serializers.CharField(), help_text="kind, id, label")
    reason = serializers.CharField()
