"""What money is part of, as the OpenAPI description shows it."""

from rest_framework import serializers

from bookings.api import MAX_QUANTITY
from bookings.api_schemas import (
    BookingBriefSchema,
    ChangeSchema,
    DiscountSchema,
    LineSchema,
    TaxSchema,
)
from bookings.discounts import LONGEST_CODE
from config.api_schemas import MoneySchema
from holds.api_schemas import HOLD_STATE
from payments.credits import MAX_MINOR
from payments.states import PAYMENT_STATES

PAYMENT_STATE = [(state, state) for state in PAYMENT_STATES.states]


class AddOnRequestSchema(serializers.Serializer):
    resource = serializers.UUIDField()
    quantity = serializers.IntegerField(
        default=1, allow_null=True, min_value=1, max_value=MAX_QUANTITY
    )


class LineRequestSchema(serializers.Serializer):
    resource = serializers.UUIDField()
    start = serializers.DateTimeField(help_text="With its offset.")
    end = serializers.DateTimeField(help_text="With its offset; not part of the window.")
    quantity = serializers.IntegerField(
        default=1, allow_null=True, min_value=1, max_value=MAX_QUANTITY
    )
    add_ons = AddOnRequestSchema(  # type: ignore[call-arg]
        many=True,
        required=False,
        allow_null=True,
        max_length=20,
        help_text="Pools that the resource offers, for the same window.",
    )


class HolderSchema(serializers.Serializer):
    email = serializers.EmailField(required=False, allow_null=True, max_length=254)
    name = serializers.CharField(required=False, allow_null=True, max_length=200)


class HoldRequestSchema(serializers.Serializer):
    lines = LineRequestSchema(many=True, min_length=1, max_length=20)  # type: ignore[call-arg]
    member = HolderSchema(required=False, allow_null=True, help_text="May come later.")
    ttl_seconds = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=60,
        max_value=7200,
        help_text="By the workspace or the resource unless given.",
    )
    token = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=40,
        help_text="Of an earlier hold: the same lines return it, others replace it.",
    )
    discount_code = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=LONGEST_CODE,
        help_text="422 where it cannot be used.",
    )


class CheckoutRequestSchema(serializers.Serializer):
    success_url = serializers.URLField(
        max_length=2000, help_text="Where the payment page leads afterwards."
    )
    cancel_url = serializers.URLField(max_length=2000, help_text="Where it leads who does not pay.")
    member = HolderSchema(
        required=False,
        help_text="Where the hold has not said it. With a publishable key one of both has to.",
    )
    credit_minor = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MAX_MINOR,
        help_text="Paid with the member's credit; 0 unless given.",
    )


class CheckoutSchema(serializers.Serializer):
    checkout_url = serializers.URLField(allow_null=True, help_text="null: confirmed at once.")
    expires_at = serializers.DateTimeField(allow_null=True)


class PayerSchema(serializers.Serializer):
    id = serializers.UUIDField(allow_null=True)
    email = serializers.CharField()
    name = serializers.CharField()


class PaymentSchema(serializers.Serializer):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(PAYMENT_STATE)
    amount = MoneySchema()
    payment_intent = serializers.CharField(allow_null=True)
    provider = serializers.CharField()
    reference = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    captured_at = serializers.DateTimeField(allow_null=True)
    voided_at = serializers.DateTimeField(allow_null=True)


class HoldBriefSchema(serializers.Serializer):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(HOLD_STATE)
    expires_at = serializers.DateTimeField()


class PendingChangeSchema(ChangeSchema):
    hold = HoldBriefSchema(help_text="Pay through its checkout; delete it to let the change go.")


class BookingSchema(BookingBriefSchema):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    member = PayerSchema()
    hold = HoldBriefSchema(allow_null=True)
    change = PendingChangeSchema(allow_null=True, help_text="The one that waits to be paid for.")
    paid = MoneySchema(help_text="By card.")
    credit = MoneySchema(help_text="With the member's credit.")
    refunded = MoneySchema()
    waived = MoneySchema()
    payments = PaymentSchema(many=True)
    created_at = serializers.DateTimeField()
    confirmed_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class QuoteRequestSchema(serializers.Serializer):
    lines = LineRequestSchema(many=True, min_length=1, max_length=20)  # type: ignore[call-arg]
    member = HolderSchema(
        required=False, allow_null=True, help_text="Whose prices; public ones without."
    )
    discount_code = serializers.CharField(required=False, allow_null=True, max_length=LONGEST_CODE)


class QuoteSchema(serializers.Serializer):
    lines = LineSchema(many=True)
    total = MoneySchema()
    discount = DiscountSchema(allow_null=True)
    taxes = TaxSchema(many=True)
