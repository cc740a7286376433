"""Moving and extending a booking over HTTP (api.md): one outcome, or nothing changes at all."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from bookings.errors import SlotTaken
from bookings.models import Booking
from bookings.nearest import with_next_free
from bookings.services import refuse_another_version
from bookings.states import COMMITTED, PENDING
from config.api import ApiView, Fields, Query, rfc3339
from config.api_schemas import PREVIEW, answers, idempotency_header
from config.etags import IfMatch
from holds.changing import NewWindow
from holds.models import Hold
from holds.parts import add_ons_of
from members.idempotency import Answer
from payments import rescheduling
from payments.api import MAX_LINES, booking_json, bookings_of
from payments.api_errors import RESCHEDULE_ERRORS
from payments.api_money_back import MAX_REASON, booking_of, choice
from payments.api_schemas_money_back import IF_MATCH
from payments.api_schemas_reschedule import RESCHEDULE_ANSWER, RescheduleRequestSchema
from payments.holding import LineRequest, placed
from payments.models import Refund
from payments.rescheduling import BY_PRICE, CHOICES, Outcome, Preview, Settling, Wish


class RescheduleView(ApiView):
    @extend_schema(
        operation_id="bookings_reschedule",
        tags=["bookings"],
        request=RescheduleRequestSchema,
        parameters=[
            PREVIEW,
            idempotency_header(required=False),
            IF_MATCH,
        ],
        responses=answers({200: RESCHEDULE_ANSWER}, keyed=True, raises=RESCHEDULE_ERRORS),
    )
    def post(self, request: Request, booking_id: UUID) -> Response:
        """Move lines of a confirmed booking to other windows or resources: all of them, or none.

        What costs the same or less is `committed` at once, and the difference given back. What
        costs more is `pending`: its hold keeps the new time until the difference is paid for
        through `POST /holds/{id}/checkout`; should it lapse, or be deleted, the booking stays where
        it is. A new wish replaces one that is pending. The Idempotency-Key is required unless
        `preview=true`. 409 `slot_taken` names the line of this request and the nearest free window;
        409 `payment_in_progress`, `payment_due`; 422 `nothing_changes` and what windows may break.
        """
        body = self.body()
        match = IfMatch.of(request)
        booking = booking_of(self, booking_id)
        wish = _wish(body, booking_id, match.expected(booking.version))
        if Query(request).texts("preview", ["true", "false"]) == ["true"]:
            refuse_another_version(booking, wish.version)
            told = rescheduling.preview(booking, wish.windows, wish.settling)
            return Response(_preview_json(told))
        lines = _line_requests(booking, wish.windows)

        def work() -> Answer:
            try:
                outcome = rescheduling.reschedule(wish, actor=self.actor)
            except (SlotTaken, IntegrityError) as error:
                named = with_next_free(error, self.workspace.id, lines, own=booking_id)
                if named is error:
                    raise
                raise named from error
            fresh = bookings_of(self.workspace).get(pk=booking_id)
            return Answer(200, _outcome_json(outcome, fresh))

        asked = {"booking": str(booking_id), "body": request.data, "versions": match.versions}
        return placed(lambda: self.idempotently("bookings.reschedule", asked, work))


def _wish(fields: Fields, booking_id: UUID, version: int | None) -> Wish:
    """The body of POST /bookings/{id}/reschedule, checked."""
    wish = Wish(
        booking_id=booking_id,
        windows=[_window(line) for line in fields.objects("lines", MAX_LINES)],
        settling=Settling(
            how=choice(fields, "difference", CHOICES) or BY_PRICE,
            to=choice(fields, "to", Refund.To.values) or Refund.To.CARD,
        ),
        reason=fields.text("reason", MAX_REASON).strip(),
        version=version,
        ttl_seconds=fields.integer("ttl_seconds", 60, 7200),
    )
    fields.no_others()
    return wish


def _window(fields: Fields) -> NewWindow:
    window = NewWindow(
        position=fields.integer("line", 0, MAX_LINES - 1, 0),
        start=fields.moment("start"),
        end=fields.moment("end"),
        resource_id=fields.uuid("resource") if fields.has("resource") else None,
    )
    fields.no_others()
    if window.end <= window.start:
        fields.refuse("end", "The end comes after the start.")
    return window


def _line_requests(booking: Booking, windows: Sequence[NewWindow]) -> list[LineRequest]:
    """The windows as claims of the lines that are to go there, to find where there is room."""
    every = list(booking.lines.all())
    lines = {line.position: line for line in every if line.parent_id is None}
    return [
        LineRequest(
            window.resource_id or lines[window.position].resource_id,
            window.start,
            window.end,
            lines[window.position].quantity,
            add_ons_of(every, lines[window.position]),
        )
        for window in windows
        if window.position in lines
    ]


def _outcome_json(outcome: Outcome, booking: Booking) -> dict[str, Any]:
    return {
        "state": PENDING if outcome.hold else COMMITTED,
        "difference": outcome.change.difference.as_json(),
        "hold": outcome.hold and _hold_json(outcome.hold),
        "booking": booking_json(booking),
    }


def _hold_json(hold: Hold) -> dict[str, Any]:
    return {
        "id": str(hold.id),
        "token": hold.token,
        "state": hold.state,
        "expires_at": rfc3339(hold.expires_at),
    }


def _preview_json(told: Preview) -> dict[str, Any]:
    return {
        "before": told.before.as_json(),
        "after": told.after.as_json(),
        "difference": told.difference.as_json(),
        "to_pay": told.to_pay.as_json(),
        "to_card": told.to_card.as_json(),
        "to_hand": told.to_hand.as_json(),
        "to_credit": told.to_credit.as_json(),
        "taken": told.taken,
    }
