"""Reserve and confirm: a hold that was paid for elsewhere, over HTTP (api.md)."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from config.api import MAX_INTEGER, ApiView, Fields
from config.api_schemas import ETAG, answers, idempotency_header
from config.etags import tagged
from config.kernel.money import KNOWN_CURRENCIES, Money
from members.idempotency import Answer
from payments.api import booking_json, bookings_of, require_hold
from payments.api_errors import CONFIRM_ERRORS
from payments.api_schemas import BookingSchema
from payments.external import Received, confirm_external


class ReceivedSchema(serializers.Serializer):
    provider = serializers.CharField(max_length=40, help_text="Who took the money.")
    reference = serializers.CharField(max_length=120, help_text="The payment's id there.")
    amount_minor = serializers.IntegerField(min_value=0, max_value=MAX_INTEGER)
    currency = serializers.CharField(max_length=3, help_text="ISO 4217.")


class ConfirmRequestSchema(serializers.Serializer):
    payment = ReceivedSchema()


class HoldConfirmView(ApiView):
    @extend_schema(
        operation_id="holds_confirm",
        tags=["holds"],
        request=ConfirmRequestSchema,
        parameters=[idempotency_header(required=True), ETAG],
        responses=answers({200: BookingSchema}, keyed=True, raises=CONFIRM_ERRORS),
    )
    def post(self, request: Request, hold_id: UUID) -> Response:
        """Confirm a hold that another payment provider has taken the money for.

        The same provider and reference are the same payment, whatever the Idempotency-Key. A hold
        that lapsed is confirmed all the same while its slot is free. 410 `hold_expired` when it is
        not: the payment is recorded as one to be given back, and an operator sees it. 409
        `already_paid` for a second reference, `reference_used`, `awaiting_approval`,
        `payment_in_progress` while a payment page of ours is being paid; 422 `amount_differs`.
        """
        fields = self.body()
        received = _received(fields.object("payment"))
        fields.no_others()
        require_hold(self.workspace, hold_id)

        def confirm() -> Answer:
            booking = confirm_external(hold_id=hold_id, received=received, actor=self.actor)
            fresh = bookings_of(self.workspace).get(pk=booking.pk)
            return Answer(200, booking_json(fresh))

        asked = {"hold": str(hold_id), "body": request.data}
        answer = self.idempotently("holds.confirm", asked, confirm, calls_out=True)
        return tagged(answer)


def _received(fields: Fields) -> Received:
    provider, reference = _named(fields, "provider", 40), _named(fields, "reference", 120)
    amount_minor = fields.integer("amount_minor", 0, MAX_INTEGER)
    if amount_minor is None:
        fields.refuse("amount_minor", "This is required.")
    currency = fields.text("currency", 3, required=True)
    if currency not in KNOWN_CURRENCIES:
        fields.refuse("currency", "A currency of ISO 4217, such as NZD.")
    fields.no_others()
    return Received(provider, reference, Money(amount_minor, currency))


def _named(fields: Fields, name: str, most: int) -> str:
    value = fields.text(name, most, required=True).strip()
    if not value:
        fields.refuse(name, "This is required.")
    return value
