"""Subscribers and their deliveries as the OpenAPI description shows them."""

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from members.webhook_endpoints import LONGEST_OVERLAP_SECONDS, OVERLAP_SECONDS
from members.webhook_states import DELIVERED, DISABLED, ENABLED, FAILED, PENDING, STOPPED
from members.webhook_types import TEST, TYPES

ENDPOINT_STATE = [(state, state) for state in (ENABLED, DISABLED)]
DELIVERY_STATE = [(state, state) for state in (PENDING, DELIVERED, FAILED, STOPPED)]
TYPE = [(kind, kind) for kind in TYPES]


class EndpointRequestSchema(serializers.Serializer):
    url = serializers.URLField(max_length=1000, help_text="https only, and public.")
    events = serializers.ListField(
        child=serializers.ChoiceField(TYPE),
        required=False,
        allow_null=True,
        help_text="Types to be told of; none or an empty list for all, those to come as well.",
    )
    description = serializers.CharField(
        max_length=200, required=False, allow_blank=True, allow_null=True
    )


class EndpointChangeSchema(serializers.Serializer):
    """What is not given stays."""

    url = serializers.URLField(max_length=1000, required=False)
    events = serializers.ListField(
        child=serializers.ChoiceField(TYPE), required=False, help_text="An empty list for all."
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    enabled = serializers.BooleanField(
        required=False, help_text="False stops what is pending; true begins with what comes next."
    )


class RotationRequestSchema(serializers.Serializer):
    overlap_seconds = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=LONGEST_OVERLAP_SECONDS,
        help_text=f"How long the former secret signs as well; {OVERLAP_SECONDS} unless said.",
    )


class EndpointSchema(serializers.Serializer):
    id = serializers.UUIDField()
    url = serializers.URLField()
    description = serializers.CharField(allow_blank=True)
    events = serializers.ListField(child=serializers.ChoiceField(TYPE), help_text="Empty for all.")
    state = serializers.ChoiceField(ENDPOINT_STATE)
    state_since = serializers.DateTimeField()
    disabled_because = serializers.CharField(
        allow_null=True, help_text="`by_hand`, `failing` or `gone`."
    )
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="The first failure since the last success."
    )
    former_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then the former secret signs as well."
    )
    created_at = serializers.DateTimeField()


class EndpointWithSecretSchema(EndpointSchema):
    secret = serializers.CharField(help_text="`whsec_…`; shown in this answer and never again.")


class AttemptSchema(serializers.Serializer):
    number = serializers.IntegerField()
    url = serializers.CharField()
    began_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(
        allow_null=True, help_text="Null while it is under way, or where its outcome is not known."
    )
    duration_ms = serializers.IntegerField(allow_null=True)
    request_headers = serializers.DictField(child=serializers.CharField())
    status = serializers.IntegerField(allow_null=True, help_text="Null where nothing answered.")
    response_headers = serializers.DictField(child=serializers.CharField())
    response_body = serializers.CharField(allow_blank=True, help_text="Its first 4 kB.")
    error = serializers.CharField(allow_blank=True)


class DeliverySchema(serializers.Serializer):
    id = serializers.UUIDField()
    endpoint = serializers.UUIDField()
    event = serializers.UUIDField(help_text="The header webhook-id: the same in every attempt.")
    sequence = serializers.IntegerField(help_text="Of one booking, later ones have greater ones.")
    type = serializers.CharField(help_text=f"One of the types, or {TEST}.")
    booking = serializers.UUIDField(allow_null=True, help_text="What it is about.")
    state = serializers.ChoiceField(DELIVERY_STATE)
    tries = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    next_try_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class DeliveryWithAttemptsSchema(DeliverySchema):
    body = serializers.DictField(help_text="The request's body, as it was or will be sent.")
    attempts = AttemptSchema(many=True)


# --- Examples -----------------------------------------------------------------------------------

_ID = "0198c1de-4a6f-7cc3-9d0e-3f6f0c0f5a11"
_ENDPOINT = {
    "id": _ID,
    "url": "https://club.example/surehold",
    "description": "Our shop",
    "events": ["booking.confirmed", "booking.cancelled"],
    "state": "enabled",
    "state_since": "2030-12-01T09:00:00Z",
    "disabled_because": None,
    "failing_since": None,
    "former_secret_until": None,
    "created_at": "2030-12-01T09:00:00Z",
}
_DELIVERY = {
    "id": "0198c1de-5b70-7a10-8c4e-64f1b2c6d702",
    "endpoint": _ID,
    "event": "0198c1de-5b6f-7f21-b0aa-0e3c61f1a9d3",
    "sequence": 4711,
    "type": "booking.confirmed",
    "booking": "0198c1dd-90aa-7d2e-9a53-2f7f3bfa1c55",
    "state": "delivered",
    "tries": 1,
    "created_at": "2030-12-01T09:05:00Z",
    "next_try_at": None,
    "ended_at": "2030-12-01T09:05:01Z",
}
ASKED = OpenApiExample(
    "Two types",
    {key: _ENDPOINT[key] for key in ("url", "description", "events")},
    request_only=True,
)
CHANGED = OpenApiExample("Enabled again", {"enabled": True}, request_only=True)
ROTATED = OpenApiExample("Both for an hour", {"overlap_seconds": 3600}, request_only=True)
SHOWN = OpenApiExample("An endpoint", _ENDPOINT, response_only=True)
SHOWN_WITH_SECRET = OpenApiExample(
    "An endpoint, with its secret",
    _ENDPOINT | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="},
    response_only=True,
)
TOLD = OpenApiExample("A delivery", _DELIVERY, response_only=True)
