"""Rescheduling, as the OpenAPI description shows it."""

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from bookings.states import COMMITTED, PENDING
from config.api_schemas import MoneySchema
from holds.api_schemas import HOLD_STATE
from payments.api_schemas import BookingSchema
from payments.models import Refund
from payments.models.refunds import ASKED
from payments.rescheduling import BY_PRICE, CHOICES

RESCHEDULE_DIFFERENCE = [(choice, choice) for choice in CHOICES]
RESCHEDULED_STATE = [(state, state) for state in (COMMITTED, PENDING)]


class NewWindowSchema(serializers.Serializer):
    """Where a line is to go; on its own resource unless another one is named."""

    line = serializers.IntegerField(
        default=0,
        allow_null=True,
        min_value=0,
        max_value=19,
        help_text="Its index in the booking.",
    )
    resource = serializers.UUIDField(required=False, allow_null=True)
    start = serializers.DateTimeField(help_text="With its offset.")
    end = serializers.DateTimeField(help_text="With its offset; not part of the window.")


class RescheduleRequestSchema(serializers.Serializer):
    lines = NewWindowSchema(many=True, min_length=1, max_length=20)  # type: ignore[call-arg]
    difference = serializers.ChoiceField(
        RESCHEDULE_DIFFERENCE,
        default=BY_PRICE,
        allow_null=True,
        help_text="Paid or given back (`price`), or left as it is (`none`).",
    )
    to = serializers.ChoiceField(
        ASKED,
        default=Refund.To.CARD,
        allow_null=True,
        help_text="Where what is given back goes.",
    )
    reason = serializers.CharField(required=False, allow_null=True, max_length=300)
    ttl_seconds = serializers.IntegerField(
        required=False, allow_null=True, min_value=60, max_value=7200
    )


class ChangeHoldSchema(serializers.Serializer):
    """What keeps the new time until the difference is paid for."""

    id = serializers.UUIDField()
    token = serializers.CharField()
    state = serializers.ChoiceField(HOLD_STATE)
    expires_at = serializers.DateTimeField()


class RescheduledSchema(serializers.Serializer):
    state = serializers.ChoiceField(RESCHEDULED_STATE)
    difference = MoneySchema(help_text="What it costs more; below zero: less.")
    hold = ChangeHoldSchema(allow_null=True, help_text="null: it is made.")
    booking = BookingSchema()


class ReschedulePreviewSchema(serializers.Serializer):
    """What a change would cost and give back, to the cent."""

    before = MoneySchema()
    after = MoneySchema()
    difference = MoneySchema()
    to_pay = MoneySchema()
    to_card = MoneySchema()
    to_hand = MoneySchema(help_text="Paid by something else than a card: you give it back.")
    to_credit = MoneySchema()
    taken = serializers.IntegerField(
        allow_null=True,
        help_text="Index of the first line whose new time somebody else seems to have.",
    )


RESCHEDULE_ANSWER = PolymorphicProxySerializer(
    component_name="RescheduleAnswer",
    serializers=[RescheduledSchema, ReschedulePreviewSchema],
    resource_type_field_name=None,
)
