"""Cancellations and refunds, as the OpenAPI description shows them."""

from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer
from rest_framework import serializers

from config.api_schemas import MoneySchema
from payments.api_schemas import BookingSchema
from payments.cancelling import CHOICES, POLICY
from payments.models import Refund
from payments.models.refunds import ASKED
from payments.states import REFUND_STATES

MAX_AMOUNT = 2**53
REFUND_STATE = [(state, state) for state in REFUND_STATES.states]
CANCEL_REFUND = [(choice, choice) for choice in CHOICES]


class CancelRequestSchema(serializers.Serializer):
    reason = serializers.CharField(required=False, allow_null=True, max_length=300)
    refund = serializers.ChoiceField(
        CANCEL_REFUND,
        default=POLICY,
        allow_null=True,
        help_text="By the booking's policy, nothing, or all of it.",
    )


class CancelPreviewSchema(serializers.Serializer):
    """What cancelling now would give back, to the cent; `kept` is what is left with you."""

    paid = MoneySchema()
    refunded_before = MoneySchema()
    given_back = MoneySchema()
    to_card = MoneySchema()
    to_hand = MoneySchema(help_text="Paid by something else than a card: you give it back.")
    to_credit = MoneySchema()
    kept = MoneySchema()


class RefundRequestSchema(serializers.Serializer):
    amount_minor = serializers.IntegerField(min_value=1, max_value=MAX_AMOUNT)
    to = serializers.ChoiceField(ASKED)
    reason = serializers.CharField(max_length=300)


class RefundSchema(serializers.Serializer):
    id = serializers.UUIDField()
    payment = serializers.UUIDField()
    state = serializers.ChoiceField(REFUND_STATE)
    amount = MoneySchema()
    to = serializers.ChoiceField(Refund.To.choices)
    cause = serializers.ChoiceField(Refund.Cause.choices)
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class GivenSchema(serializers.Serializer):
    """A mixed payment goes back in parts: to the card first, the rest as the credit spent."""

    refunds = RefundSchema(many=True)
    credit_returned = MoneySchema(help_text="Spent credit that is the member's again.")


CANCEL_ANSWER = PolymorphicProxySerializer(
    component_name="CancelAnswer",
    serializers=[BookingSchema, CancelPreviewSchema],
    resource_type_field_name=None,
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    False,
    description="The booking's ETag as you read it, one of several, or `*`; 412 `version_mismatch` "
    "when it has changed.",
)
