"""Cancelling and refunding over HTTP (api.md)."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from bookings.models import Booking
from bookings.services import refuse_another_version
from config.api import ApiView, Fields, Query, money
from config.api_schemas import (
    ETAG_OF_BOOKING,
    PAGING,
    PREVIEW,
    answers,
    idempotency_header,
    page_of,
)
from config.etags import IfMatch, tagged
from config.kernel.errors import NotFound, VersionMismatch
from config.kernel.money import Money
from config.pagination import paginated
from members.idempotency import Answer
from payments import cancelling, refunding
from payments.api import NEWEST_FIRST, booking_json, bookings_of
from payments.api_errors import CANCEL_ERRORS, REFUND_ERRORS
from payments.api_schemas_money_back import (
    CANCEL_ANSWER,
    IF_MATCH,
    MAX_AMOUNT,
    CancelRequestSchema,
    GivenSchema,
    RefundRequestSchema,
    RefundSchema,
)
from payments.cancelling import CHOICES, POLICY, Back, Preview
from payments.holding import placed
from payments.lock_objects import lock_money
from payments.models import Refund
from payments.models.refunds import ASKED
from payments.shown import refund_json

MAX_REASON = 300


class CancelView(ApiView):
    @extend_schema(
        operation_id="bookings_cancel",
        tags=["bookings"],
        request=CancelRequestSchema,
        parameters=[
            PREVIEW,
            idempotency_header(required=False),
            IF_MATCH,
            ETAG_OF_BOOKING,
        ],
        responses=answers({200: CANCEL_ANSWER}, keyed=True, raises=CANCEL_ERRORS),
    )
    def post(self, request: Request, booking_id: UUID) -> Response:
        """Cancel, free the slot, and give back by the policy, nothing, or all of it.

        The Idempotency-Key is required unless `preview=true`. A booking cancelled before stays as
        it is. 409 `payment_in_progress` while a payment is being captured.
        """
        fields = self.body()
        back = Back(how=choice(fields, "refund", CHOICES) or POLICY)
        reason = fields.text("reason", MAX_REASON).strip()
        fields.no_others()
        match = IfMatch.of(request)
        booking = booking_of(self, booking_id)
        if Query(request).texts("preview", ["true", "false"]) == ["true"]:
            refuse_another_version(booking, match.expected(booking.version))
            return Response(_preview_json(cancelling.preview(booking, back)))

        def work() -> Answer:
            cancelling.cancel(
                booking_id=booking_id,
                actor=self.actor,
                reason=reason,
                back=back,
                version=match.expected(booking.version),
            )
            return Answer(200, booking_json(bookings_of(self.workspace).get(pk=booking_id)))

        asked = {"booking": str(booking_id), "body": request.data, "versions": match.versions}
        return tagged(placed(lambda: self.idempotently("bookings.cancel", asked, work)))


class RefundsView(ApiView):
    @extend_schema(
        operation_id="refunds_create",
        tags=["bookings"],
        request=RefundRequestSchema,
        parameters=[idempotency_header(required=True), IF_MATCH],
        responses=answers({201: GivenSchema}, keyed=True, raises=[*REFUND_ERRORS, VersionMismatch]),
    )
    def post(self, request: Request, booking_id: UUID) -> Response:
        """Give back a part of what was paid, or all of it. The booking does not move, nor does its
        version: `If-Match` refuses a refund for a booking that was moved or cancelled meanwhile.

        409 `nothing_to_refund`, `refund_too_large` (with `left_minor`) or `nobody_to_credit`. What
        goes to the card is under way when this answers: follow its `state`.
        """
        fields = self.body()
        amount = fields.integer("amount_minor", 1, MAX_AMOUNT)
        to = choice(fields, "to", [to for to, _ in ASKED])
        reason = fields.text("reason", MAX_REASON, required=True).strip()
        for name, value in (("amount_minor", amount), ("to", to), ("reason", reason)):
            if not value:
                fields.refuse(name, "This is required.")
        fields.no_others()
        match = IfMatch.of(request)
        booking = booking_of(self, booking_id)

        def work() -> Answer:
            locked = lock_money(booking_id)
            refuse_another_version(locked.booking, match.expected(booking.version))
            given = refunding.request(
                locked,
                amount_minor=amount or 0,
                to=to,
                cause=Refund.Cause.STAFF,
                actor=self.actor,
                reason=reason,
            )
            returned = money(given.returned_minor, booking.currency)
            refunds = [refund_json(refund) for refund in given.refunds]
            return Answer(201, {"refunds": refunds, "credit_returned": returned})

        asked = {"booking": str(booking_id), "body": request.data, "versions": match.versions}
        return self.idempotently("refunds.create", asked, work)

    @extend_schema(
        operation_id="refunds_list",
        tags=["bookings"],
        parameters=PAGING,
        responses=answers({200: page_of(RefundSchema, "Refund")}),
    )
    def get(self, request: Request, booking_id: UUID) -> Response:
        """A booking's refunds, newest first."""
        booking_of(self, booking_id)
        rows = Refund.objects.filter(due__booking_id=booking_id)
        return paginated(request, rows, NEWEST_FIRST, refund_json)


def _preview_json(told: Preview) -> dict[str, Any]:
    shown: dict[str, Money] = {
        "paid": told.paid,
        "refunded_before": told.before,
        "given_back": told.given_back,
        "to_card": told.to_card,
        "to_hand": told.to_hand,
        "to_credit": told.to_credit,
        "kept": told.kept,
    }
    return {name: amount.as_json() for name, amount in shown.items()}


def booking_of(view: ApiView, booking_id: UUID) -> Booking:
    """Another workspace's booking is not found, like one that never was."""
    booking = Booking.objects.filter(pk=booking_id, workspace=view.workspace).first()
    if booking is None:
        raise NotFound("There is no such booking here.")
    return booking


def choice(fields: Fields, name: str, choices: list[str]) -> str:
    value = fields.text(name, 20)
    if fields.has(name) and value not in choices:
        fields.refuse(name, f"One of {', '.join(choices)}.")
    return value
