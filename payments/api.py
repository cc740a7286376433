"""Claiming, letting go, paying, and bookings with their money, over HTTP."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import IntegrityError
from django.db.models import Prefetch, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from bookings.api import MAX_QUANTITY
from bookings.discounts import LONGEST_CODE
from bookings.errors import SlotTaken
from bookings.models import Booking, Line
from bookings.nearest import with_next_free
from bookings.shown import booking_brief, change_json
from bookings.states import BOOKING_STATES
from config.api import (
    ApiView,
    Fields,
    Query,
    as_email,
    as_uuid,
    idempotency_key,
    money,
    rfc3339,
    rfc3339_or_none,
)
from config.api_schemas import (
    ETAG,
    HOLD_TOKEN_HEADER,
    PAGING,
    VISITOR_HEADER,
    answers,
    idempotency_header,
    page_of,
    query,
    several,
)
from config.etags import etag
from config.kernel.errors import InvalidTransition, NotFound
from config.pagination import paginated
from holds import gate
from holds.api import HoldReadView, holds_of
from holds.api_schemas import HoldSchema
from holds.models import Hold
from holds.selectors import booking_of_token, own_hold, pending_change_hold, with_now
from holds.shown import hold_json
from members.idempotency import Answer
from payments import checkouts, holding
from payments.api_errors import CHECKOUT_ERRORS, CLAIM_ERRORS
from payments.api_schemas import (
    BookingSchema,
    CheckoutRequestSchema,
    CheckoutSchema,
    HoldRequestSchema,
)
from payments.api_strangers import check_payer, check_way, claimant_of, to_replace
from payments.credits import MAX_MINOR, SPENDING
from payments.errors import PaymentInProgress
from payments.holding import AddOnRequest, Claimant, LineRequest
from payments.models import CreditEntry, Due, Payment
from payments.standing import GIVEN_BACK, given_back_on, with_given_back
from payments.states import CAPTURED
from payments.way_back import settled_first

MAX_LINES = 20
MAX_URL = 2000
NEWEST_FIRST = ["-created_at", "-id"]
_is_url = URLValidator(schemes=["http", "https"])


# --- Holds --------------------------------------------------------------------------------------


class HoldListView(ApiView):
    publishable = frozenset({"POST"})

    @extend_schema(
        operation_id="holds_create",
        tags=["holds"],
        request=HoldRequestSchema,
        parameters=[idempotency_header(required=True), VISITOR_HEADER],
        responses=answers({201: HoldSchema}, keyed=True, raises=CLAIM_ERRORS),
    )
    def post(self, request: Request) -> Response:
        """Hold slots for a while. All lines or none, each with its add-ons.

        409 `slot_taken` names the line (and which of its add-ons, where it is one), how many units
        remain throughout that time, and in `next_free` where the line would be at the nearest time
        at which all lines fit. 422 `add_on_not_allowed` names line and add-on.
        """
        asked = _claim(self.body())
        workspace, lines = self.workspace, asked.lines
        who = claimant_of(self, asked.claimant, ttl_seconds=asked.ttl_seconds)

        def place() -> Answer:
            try:
                hold = holding.place(
                    workspace=workspace,
                    lines=lines,
                    claimant=who,
                    actor=self.actor,
                    token=to_replace(workspace, lines, who, asked.token),
                    ttl_seconds=asked.ttl_seconds,
                    discount_code=asked.discount_code,
                )
            except (SlotTaken, IntegrityError) as error:
                own = partial(booking_of_token, workspace, asked.token)
                named = with_next_free(error, workspace.id, lines, own=own)
                if named is error:
                    raise
                raise named from error
            return Answer(201, hold_json(hold))

        def refuse(error: SlotTaken) -> Response:
            named = with_next_free(error, workspace.id, lines)
            assert isinstance(named, SlotTaken)
            return self.refused("holds.create", request.data, named)

        return holding.placed_in_turn(
            lambda: self.idempotently("holds.create", request.data, place),
            asked=gate.Asked(
                workspace.id, lines, self._owner(), who.visitor, replaces=bool(asked.token)
            ),
            refuse=refuse,
        )

    def _owner(self) -> str:
        """Who the gate lets through beside themselves: the same request sent again."""
        return sha256(f"{self.scope} {idempotency_key(self.request)}".encode()).hexdigest()


class HoldView(HoldReadView):
    """Reading is the holds app's; letting go may have to close a Checkout first."""

    publishable = HoldReadView.publishable | {"DELETE"}

    @extend_schema(
        operation_id="holds_delete",
        tags=["holds"],
        parameters=[HOLD_TOKEN_HEADER],
        responses=answers({204: None}, raises=[PaymentInProgress, InvalidTransition]),
    )
    def delete(self, request: Request, hold_id: UUID) -> Response:
        """Give the slot back. 409 `payment_in_progress` while a payment is being settled."""
        require_hold(self.workspace, hold_id, self.hold_token)
        holding.let_go(hold_id=hold_id, actor=self.actor)
        return Response(status=204)


class HoldCheckoutView(ApiView):
    publishable = frozenset({"POST"})

    @extend_schema(
        operation_id="holds_checkout",
        tags=["holds"],
        request=CheckoutRequestSchema,
        parameters=[idempotency_header(required=True), HOLD_TOKEN_HEADER],
        responses=answers({200: CheckoutSchema}, keyed=True, raises=CHECKOUT_ERRORS),
    )
    def post(self, request: Request, hold_id: UUID) -> Response:
        """A payment page for the hold; the same open session on repetition."""
        fields = self.body()
        success_url, cancel_url = _url(fields, "success_url"), _url(fields, "cancel_url")
        credit_minor = fields.integer("credit_minor", 0, MAX_MINOR, 0)
        payer = read_member(fields.object("member"))
        fields.no_others()
        require_hold(self.workspace, hold_id, self.hold_token)
        check_payer(self, hold_id, payer)
        back = success_url
        if self.is_public:
            check_way(self.key, success_url, cancel_url, credit_minor=credit_minor)
            back = settled_first(hold_id, success_url)

        def start() -> Answer:
            started = checkouts.start(
                hold_id=hold_id,
                success_url=back,
                cancel_url=cancel_url,
                actor=self.actor,
                email=payer.email,
                name=payer.name,
                credit_minor=credit_minor,
            )
            expires_at = rfc3339_or_none(started.expires_at)
            return Answer(200, {"checkout_url": started.url, "expires_at": expires_at})

        asked = {"hold": str(hold_id), "body": request.data}
        return self.idempotently("holds.checkout", asked, start, calls_out=True)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The body of POST /holds, checked."""

    lines: list[LineRequest]
    claimant: Claimant
    ttl_seconds: int | None
    token: str
    discount_code: str


def _claim(fields: Fields) -> _Asked:
    """Read by hand: it is on the path of every claim."""
    lines = [read_line(line) for line in fields.objects("lines", MAX_LINES)]
    asked = _Asked(
        lines=lines,
        claimant=read_member(fields.object("member")),
        ttl_seconds=fields.integer("ttl_seconds", 60, 7200),
        token=fields.text("token", 40),
        discount_code=fields.text("discount_code", LONGEST_CODE).strip(),
    )
    fields.no_others()
    return asked


def read_member(holder: Fields) -> Claimant:
    """Whom it is for: whoever has a secret key may say whose prices they are."""
    email = holder.email("email")
    who = Claimant(email=email, name=holder.text("name", 200).strip(), vouched_for=email)
    holder.no_others()
    return who


def read_line(fields: Fields) -> LineRequest:
    """One line of a claim or of a quote."""
    line = LineRequest(
        resource_id=fields.uuid("resource"),
        start=fields.moment("start"),
        end=fields.moment("end"),
        quantity=fields.integer("quantity", 1, MAX_QUANTITY, 1),
        add_ons=tuple(_add_on(each) for each in fields.objects_within("add_ons", MAX_LINES)),
    )
    fields.no_others()
    if line.end <= line.start:
        fields.refuse("end", "The end comes after the start.")
    return line


def _add_on(fields: Fields) -> AddOnRequest:
    add_on = AddOnRequest(
        resource_id=fields.uuid("resource"),
        quantity=fields.integer("quantity", 1, MAX_QUANTITY, 1),
    )
    fields.no_others()
    return add_on


def _url(fields: Fields, name: str) -> str:
    value = fields.text(name, MAX_URL, required=True)
    try:
        _is_url(value)
    except ValidationError:
        fields.refuse(name, "An address that starts with https:// or http://.")
    return value


def require_hold(workspace: Any, hold_id: UUID, token: str | None = None) -> None:
    """Another workspace's hold is not found, like one that never was."""
    if not holds_of(workspace, token).filter(pk=hold_id).exists():
        raise NotFound("There is no such hold here.")


# --- Bookings -----------------------------------------------------------------------------------


class BookingListView(ApiView):
    @extend_schema(
        operation_id="bookings_list",
        tags=["bookings"],
        parameters=[
            several("state", BOOKING_STATES.states, "Only those in these states."),
            query("resource", UUID, "Only those with a line of this resource."),
            query("member", str, "A member's id, or an e-mail address.", high=254),
            query("from", datetime, "Bookings that end after this."),
            query("to", datetime, "Bookings that start before this."),
            *PAGING,
        ],
        responses=answers({200: page_of(BookingSchema, "Booking")}),
    )
    def get(self, request: Request) -> Response:
        """Bookings, newest first."""
        rows = _filtered(Query(request), bookings_of(self.workspace))
        return paginated(request, rows, NEWEST_FIRST, booking_json)


class BookingView(ApiView):
    @extend_schema(
        operation_id="bookings_read",
        tags=["bookings"],
        parameters=[ETAG],
        responses=answers({200: BookingSchema}),
    )
    def get(self, request: Request, booking_id: UUID) -> Response:
        """One booking with its money; its version is the ETag."""
        booking = bookings_of(self.workspace).filter(pk=booking_id).first()
        if booking is None:
            raise NotFound("There is no such booking here.")
        return Response(booking_json(booking), headers={"ETag": etag(booking.version)})


def bookings_of(workspace: Any) -> QuerySet[Booking]:
    """A workspace's bookings with all that `booking_json` shows: six queries however many."""
    returned = Q(kind=CreditEntry.Kind.RETURNED, source__in=GIVEN_BACK)
    spent = CreditEntry.objects.filter(kind__in=SPENDING).exclude(returned)
    payments = Payment.objects.order_by("created_at", "id")
    dues = Due.objects.prefetch_related(
        Prefetch("payments", payments), Prefetch("credit_entries", spent)
    )
    return (
        Booking.objects.filter(workspace=workspace)
        .select_related("member")
        .prefetch_related(
            "lines", Prefetch("holds", with_now()), Prefetch("dues", with_given_back(dues))
        )
    )


def _filtered(asked: Query, rows: QuerySet[Booking]) -> QuerySet[Booking]:
    if chosen := asked.texts("state", BOOKING_STATES.states):
        rows = rows.filter(state__in=chosen)
    if resource := asked.uuid("resource"):
        # Ids in place of a join: a booking with two lines of the resource comes once.
        rows = rows.filter(pk__in=Line.objects.filter(resource_id=resource).values("booking"))
    if member := asked.text("member", 254):
        rows = rows.filter(_of_member(member))
    if start := asked.moment("from"):
        rows = rows.filter(ends_at__gt=start)
    if end := asked.moment("to"):
        rows = rows.filter(starts_at__lt=end)
    return rows


def _of_member(member: str) -> Q:
    if "@" in member:
        address = as_email(member, "member")
        return Q(email__iexact=address) | Q(member__email=address)
    return Q(member_id=as_uuid(member, "member"))


def booking_json(booking: Booking) -> dict[str, Any]:
    """A booking of `bookings_of`: nothing here asks the database again."""
    dues = booking.dues.all()
    payments = [payment for due in dues for payment in due.payments.all()]
    captured = sum(p.amount_minor for p in payments if p.state == CAPTURED)
    refunded = sum(given_back_on(due) for due in dues)
    credit = -sum(e.amount_minor for due in dues for e in due.credit_entries.all())
    hold, waiting = own_hold(booking), pending_change_hold(booking)
    return booking_brief(booking, list(booking.lines.all())) | {
        "start": rfc3339(booking.starts_at),
        "end": rfc3339(booking.ends_at),
        "member": _payer_json(booking),
        "hold": hold and _hold_brief(hold),
        "change": waiting and _change_json(booking, waiting),
        "paid": money(captured, booking.currency),
        "credit": money(credit, booking.currency),
        "refunded": money(refunded, booking.currency),
        "waived": money(sum(due.waived_minor for due in dues), booking.currency),
        "payments": [_payment_json(payment) for payment in payments],
        "created_at": rfc3339(booking.created_at),
        "confirmed_at": rfc3339_or_none(booking.confirmed_at),
        "ended_at": rfc3339_or_none(booking.ended_at),
    }


def _payer_json(booking: Booking) -> dict[str, Any]:
    member = booking.member
    return {
        "id": member and str(member.id),
        "email": booking.email or (member.email if member else ""),
        "name": booking.name or (member.name if member else ""),
    }


def _hold_brief(hold: Hold) -> dict[str, Any]:
    return {"id": str(hold.id), "state": hold.state, "expires_at": rfc3339(hold.expires_at)}


def _change_json(booking: Booking, hold: Hold) -> dict[str, Any]:
    """The change that a booking waits for, with the hold that it is paid for by."""
    assert hold.change is not None
    shown = change_json(hold.change, booking, list(booking.lines.all()))
    return shown | {"hold": _hold_brief(hold)}


def _payment_json(payment: Payment) -> dict[str, Any]:
    return {
        "id": str(payment.id),
        "state": payment.state,
        "amount": money(payment.amount_minor, payment.currency),
        "payment_intent": payment.payment_intent_id,
        "provider": payment.provider or "stripe",
        "reference": payment.reference or None,
        "created_at": rfc3339(payment.created_at),
        "captured_at": rfc3339_or_none(payment.captured_at),
        "voided_at": rfc3339_or_none(payment.voided_at),
    }
