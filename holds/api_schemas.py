"""Holds as the OpenAPI description shows them."""

from rest_framework import serializers

from bookings.api_schemas import BookingBriefSchema, ChangeSchema
from holds.states import HOLD_STATES

HOLD_STATE = [(state, state) for state in HOLD_STATES.states]


class HoldSchema(serializers.Serializer):
    id = serializers.UUIDField()
    token = serializers.CharField(help_text="Keeps a retry with the same lines one hold.")
    state = serializers.ChoiceField(HOLD_STATE)
    expires_at = serializers.DateTimeField()
    booking = BookingBriefSchema()
    change = ChangeSchema(
        allow_null=True, help_text="What it is for, where the booking is confirmed already."
    )
