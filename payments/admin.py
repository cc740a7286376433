"""Bookings, holds and money in the admin: read-only rows, and deeds that go through services."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from bookings import admin_units
from bookings import services as booking_services
from bookings import states as booking_states
from bookings.models import Booking, BookingEvent
from bookings.price_words import prices_said
from bookings.states import BOOKING_STATES
from holds.admin import WITH_RESOURCES, HoldAdminBase, lines_said, state_of
from holds.models import Hold
from members.admin_filters import OpeningFilter
from members.admin_scope import (
    CLERK,
    MANAGER,
    ReadOnlyAdmin,
    ReadOnlyInline,
    access_of,
    staff_actor,
)
from members.admin_words import Deed, ask_then_do, link, said_moment, said_money, said_window
from payments import admin_approval, admin_change, admin_dropping, admin_otherwise
from payments import admin_connect as admin_connect
from payments import admin_credits as admin_credits  # registers its models
from payments import admin_deeds as money_back
from payments import admin_findings as admin_findings
from payments.admin_calendar_tasks import CalendarTaskAdmin as CalendarTaskAdmin  # registers itself
from payments.admin_incidents import IncidentAdmin as IncidentAdmin  # registers itself
from payments.admin_waitlist import WaitlistAdmin as WaitlistAdmin  # registers itself
from payments.holding import let_go
from payments.models import Checkout, Dispute, Payment, Refund, Signal
from payments.states import (
    CAPTURE_FAILED,
    CAPTURED,
    FAILED,
    NEEDS_ATTENTION,
    REQUESTED,
    SUBMITTED,
)

WITH_UNITS = {booking_states.CONFIRMED, booking_states.COMPLETED, booking_states.NO_SHOW}
STATE_LABELS = {
    "pending payment": "warning",
    "awaiting approval": "warning",
    "confirmed": "success",
    "completed": "info",
    "cancelled": "danger",
    "no show": "danger",
    "released": "default",
    "expired": "default",
}
PAYMENT_LABELS = {
    "captured": "success",
    "authorised": "info",
    "capturing": "info",
    "capture failed": "danger",
    "failed": "danger",
    "voided": "default",
}


def stuck_payments() -> Q:
    """Payments that somebody may have to look at."""
    return Q(state=CAPTURE_FAILED) | (~Q(last_error="") & Q(next_try_at__isnull=False))


def stuck_checkouts() -> Q:
    """Checkouts whose last call to Stripe failed and that are still to be seen to."""
    return ~Q(last_error="") & Q(next_look_at__isnull=False)


# --- Holds --------------------------------------------------------------------------------------


@admin.register(Hold)
class HoldAdmin(HoldAdminBase):
    """Any member of staff may release a live hold; the service ends its Checkout first."""

    actions_detail = ("release",)
    actions_row = ("release",)

    def has_release_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(CLERK)

    @action(
        description="Release…",
        permissions=["release"],
        icon="lock_open",
        variant=ActionVariant.DANGER,
    )
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        hold = self.row_or_404(request, object_id, CLERK)
        return ask_then_do(request, self.admin_site, Hold, self._release(request, hold))

    def _release(self, request: HttpRequest, hold: Hold) -> Deed:
        effects = [f"{lines_said(hold.lines)} is free for others at once."]
        if hold.change is not None:
            effects = ["What the change would take is free at once; the booking stays as it is."]
        if hold.booking.requested_at is not None:
            effects.append("It is a request that waits for an answer: this declines it.")
        elif hold.has_open_checkout:
            effects.append(
                "They are on the payment page now. It is closed first; if they have paid by then, "
                "the hold is not released and you are told so."
            )
        if hold.change is None:
            effects.append("The member sees that staff released it, with your reason.")
        return Deed(
            title=f"Release the hold of {self.who(hold)}",
            effects=effects,
            button="Release the hold and free the slot",
            done="The hold is released and the slot is free.",
            back=self.change_url(hold.pk),
            perform=lambda reason: let_go(
                hold_id=hold.pk, actor=staff_actor(request), reason=reason
            ),
        )


# --- Bookings -----------------------------------------------------------------------------------


class WhenFilter(OpeningFilter):
    """Opens on what is still to come."""

    title = "when"
    parameter_name = "when"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "Upcoming"), ("week", "Next seven days"), ("past", "Past"), ("all", "All")]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        if self.value() == "all":
            return queryset
        if self.value() == "past":
            return queryset.filter(ends_at__lte=now)
        if self.value() == "week":
            queryset = queryset.filter(starts_at__lt=now + timedelta(days=7))
        return queryset.filter(ends_at__gt=now)


class BookingStateFilter(OpeningFilter):
    """Opens on bookings that take time: those that ended without it are a click away."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        every = [(state, _words(state).capitalize()) for state in BOOKING_STATES.states]
        return [("", "Taking time"), *every, ("all", "All")]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        if self.value() == "all":
            return queryset
        if self.value():
            return queryset.filter(state=self.value())
        return queryset.exclude(state__in=booking_states.WITHOUT_OCCUPANCIES)


@admin.register(Booking)
class BookingAdmin(ReadOnlyAdmin):
    """A booking as it is, its history, and what can be done about it."""

    list_display = ("reference", "what", "who", "state_shown", "total")
    list_filter = (WhenFilter, BookingStateFilter)
    search_fields = ("reference", "email", "name", "member__email", "lines__resource__name")
    ordering = ("starts_at",)
    fields = (
        ("reference", "state_shown"), "what", ("who", "total"), ("made", "confirmed"), "ended",
    )  # fmt: skip
    readonly_fields = (
        "reference", "state_shown", "what", "who", "total", "made", "confirmed", "ended",
    )  # fmt: skip
    change_form_after_template = "admin/surehold/booking.html"
    actions_detail = (
        "approve", "decline", "move", "cancel", "refund", "complete", "no_show",
        {
            "title": "More",
            "icon": "more_horiz",
            "items": ["drop", "units", "paid_otherwise", "ask_nothing"],
        },
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).select_related("workspace", "member")
        return rows.prefetch_related(Prefetch("lines", WITH_RESOURCES))

    @display(description="what")
    def what(self, booking: Booking) -> str:
        return lines_said([line for line in booking.lines.all() if not line.cancelled_at])

    @display(description="who")
    def who(self, booking: Booking) -> str:
        address = booking.email or (booking.member.email if booking.member else "")
        name = booking.name or (booking.member.name if booking.member else "")
        return f"{name} ({address})" if name and address else name or address or "—"

    @display(description="state", ordering="state", label=STATE_LABELS)
    def state_shown(self, booking: Booking) -> str:
        return _words(booking.state)

    @display(description="total", ordering="total_minor")
    def total(self, booking: Booking) -> str:
        return said_money(booking.total_minor, booking.currency)

    @display(description="made")
    def made(self, booking: Booking) -> str:
        return said_moment(booking.created_at, booking.workspace.timezone)

    @display(description="confirmed")
    def confirmed(self, booking: Booking) -> str:
        return said_moment(booking.confirmed_at, booking.workspace.timezone)

    @display(description="ended")
    def ended(self, booking: Booking) -> str:
        return said_moment(booking.ended_at, booking.workspace.timezone)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        booking = self.row_or_404(request, object_id, CLERK)
        context = (extra_context or {}) | {"story": _story(booking)}
        return super().change_view(request, object_id, form_url, context)

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what the booking's state allows."""
        state = self.get_queryset(request).filter(pk=object_id).values_list("state", flat=True)
        now = state.first() or ""
        allowed: dict[str, Callable[[], bool]] = {
            "approve": partial(admin_approval.is_waiting, object_id),
            "decline": partial(admin_approval.is_waiting, object_id),
            "move": lambda: now == booking_states.CONFIRMED,
            "cancel": partial(BOOKING_STATES.allows, now, booking_states.CANCELLED),
            "complete": partial(BOOKING_STATES.allows, now, booking_states.COMPLETED),
            "no_show": partial(BOOKING_STATES.allows, now, booking_states.NO_SHOW),
            "refund": partial(money_back.has_something_left, object_id),
            "drop": partial(admin_dropping.is_offered, object_id),
            "units": lambda: now in WITH_UNITS and admin_units.has_units(object_id),
            "paid_otherwise": partial(_may_settle, now, object_id),
            "ask_nothing": partial(_may_settle, now, object_id),
        }
        offered = super().get_actions_detail(request, object_id)
        return [each for each in offered if allowed[each.path]()]

    @action(description="Approve…", permissions=["manage"], icon="check_circle")
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def deed(booking: Booking) -> Deed:
            return admin_approval.approve(request, booking, back=self.change_url(booking.pk))

        return self._ask(request, object_id, deed)

    @action(
        description="Decline…",
        permissions=["manage"],
        icon="block",
        variant=ActionVariant.DANGER,
    )
    def decline(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def deed(booking: Booking) -> Deed:
            return admin_approval.decline(request, booking, back=self.change_url(booking.pk))

        return self._ask(request, object_id, deed)

    @action(description="Paid otherwise…", permissions=["manage"], icon="payments")
    def paid_otherwise(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._settle(request, object_id, admin_otherwise.paid_otherwise)

    @action(description="Ask no money…", permissions=["manage"], icon="redeem")
    def ask_nothing(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._settle(request, object_id, admin_otherwise.ask_nothing)

    def _settle(
        self, request: HttpRequest, object_id: str, deed_of: Callable[..., Deed]
    ) -> HttpResponse:
        """Settle what is owed in another way than by card, while something is."""
        booking = self.row_or_404(request, object_id, MANAGER)
        back, due = self.change_url(booking.pk), admin_otherwise.open_due(booking.pk)
        if due is None:
            messages.error(request, "Nothing is owed for this booking now.")
            return HttpResponseRedirect(back)
        deed = deed_of(request, booking, due, back=back)
        return ask_then_do(request, self.admin_site, Booking, deed)

    @action(description="Move or extend…", permissions=["manage"], icon="edit_calendar")
    def move(self, request: HttpRequest, object_id: str) -> HttpResponse:
        booking = self.row_or_404(request, object_id, MANAGER)
        back = self.change_url(booking.pk)
        return admin_change.page(request, self.admin_site, booking, back=back)

    @action(description="Hand over…", permissions=["view"], icon="key")
    def units(self, request: HttpRequest, object_id: str) -> HttpResponse:
        booking = self.row_or_404(request, object_id, CLERK)
        deed = admin_units.deed(request, booking, back=self.change_url(booking.pk))
        return ask_then_do(request, self.admin_site, Booking, deed)

    @action(
        description="Cancel…",
        permissions=["manage"],
        icon="event_busy",
        variant=ActionVariant.DANGER,
    )
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def deed(booking: Booking) -> Deed:
            return money_back.cancellation(
                request,
                booking,
                effects=[
                    f"{self.what(booking)} is free for others at once.",
                    f"{self.who(booking)} is told, with your reason.",
                ],
                back=self.change_url(booking.pk),
            )

        return self._ask(request, object_id, deed)

    @action(description="Cancel a part…", permissions=["manage"], icon="content_cut")
    def drop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def deed(booking: Booking) -> Deed:
            return admin_dropping.deed(request, booking, back=self.change_url(booking.pk))

        return self._ask(request, object_id, deed)

    @action(description="Refund…", permissions=["manage"], icon="currency_exchange")
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def deed(booking: Booking) -> Deed:
            back = self.change_url(booking.pk)
            return money_back.refund_of_booking(request, booking, back=back)

        return self._ask(request, object_id, deed)

    @action(description="Mark completed…", permissions=["manage"], icon="task_alt")
    def complete(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def deed(booking: Booking) -> Deed:
            return self._marking(request, booking, "completed", "came", booking_services.complete)

        return self._ask(request, object_id, deed)

    @action(description="Mark no-show…", permissions=["manage"], icon="person_off")
    def no_show(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def deed(booking: Booking) -> Deed:
            return self._marking(
                request, booking, "a no-show", "did not come", booking_services.no_show
            )

        return self._ask(request, object_id, deed)

    def _ask(
        self, request: HttpRequest, object_id: str, deed_of: Callable[[Booking], Deed]
    ) -> HttpResponse:
        """GET says what a deed does; POST does it."""
        booking = self.row_or_404(request, object_id, MANAGER)
        return ask_then_do(request, self.admin_site, Booking, deed_of(booking))

    def _marking(
        self,
        request: HttpRequest,
        booking: Booking,
        as_what: str,
        did: str,
        mark: Callable[..., object],
    ) -> Deed:
        """Say how it ended; nothing else follows from it."""
        return Deed(
            title=f"Mark booking {booking.reference} {as_what}",
            effects=[f"{self.who(booking)} {did}. No mail is sent and no money moves."],
            button=f"Mark it {as_what}",
            done=f"{booking.reference} is marked {as_what}.",
            back=self.change_url(booking.pk),
            perform=lambda _reason: mark(booking_id=booking.pk, actor=staff_actor(request)),
            dangerous=False,
            asks_reason=False,
        )


def _captured(payments: list[Payment]) -> int:
    return sum(payment.amount_minor for payment in payments if payment.state == CAPTURED)


def _story(booking: Booking) -> dict[str, Any]:
    """All there is to a booking, for its page: nine queries however long its history."""
    zone = booking.workspace.timezone
    hold = Hold.objects.filter(booking=booking, change=None).first()
    payments = list(Payment.objects.filter(due__booking=booking).order_by("created_at"))
    occupancies = booking.occupancies.select_related("resource__location").order_by("during")
    return {
        "events": [_event(event, zone) for event in booking.events.all()],
        "occupancies": [
            {
                "resource": occupancy.resource.name,
                "when": said_window(
                    occupancy.during.lower,
                    occupancy.during.upper,
                    occupancy.resource.location.timezone,
                ),
                "quantity": occupancy.quantity,
                "state": _occupancy_state(occupancy, zone),
            }
            for occupancy in occupancies
        ],
        "hold": hold
        and {
            "link": link("holds_hold", hold.pk, state_of(hold, timezone.now())),
            "ends": said_moment(hold.expires_at, zone),
            "because": hold.ended_because,
        },
        "changes": admin_change.changes_said(booking, zone),
        "prices": prices_said(booking),
        "paid": said_money(_captured(payments), booking.currency),
        "payments": [_payment(payment, zone) for payment in payments],
        "refunds": money_back.refunds_said(booking, zone),
        "disputes": money_back.disputes_said(booking, zone),
        "checkouts": [
            {
                "link": link("payments_checkout", checkout.pk, f"attempt {checkout.attempt}"),
                "state": _words(checkout.state),
                "when": said_moment(checkout.created_at, zone),
                "error": checkout.last_error,
            }
            for checkout in Checkout.objects.filter(due__booking=booking).order_by("created_at")
        ],
    }


def _event(event: BookingEvent, zone: str) -> dict[str, Any]:
    return {
        "at": said_moment(event.at, zone),
        "kind": _words(event.kind),
        "move": _move(event),
        "who": event.actor_label or event.actor_kind,
        "reason": event.reason,
    }


def _move(event: BookingEvent) -> str:
    """pending payment → confirmed; nothing where the state stayed."""
    if event.from_state == event.to_state or not event.from_state:
        return ""
    return f"{_words(event.from_state)} → {_words(event.to_state)}"


def _payment(payment: Payment, zone: str) -> dict[str, Any]:
    return {
        "link": link("payments_payment", payment.pk, str(payment.amount)),
        "state": _words(payment.state),
        "when": said_moment(payment.created_at, zone),
        "error": payment.last_error,
    }


def _occupancy_state(occupancy: Any, zone: str) -> str:
    if occupancy.released_at:
        return f"given back {said_moment(occupancy.released_at, zone)}"
    if occupancy.lapses_at:
        return f"until {said_moment(occupancy.lapses_at, zone)} unless paid"
    return "taken"


# --- Money --------------------------------------------------------------------------------------


class SignalInline(ReadOnlyInline):
    model = Signal
    fields = ("received_at", "source", "event_type", "outcome", "followed_at")
    readonly_fields = fields
    ordering = ("received_at",)

    def _may(self, request: HttpRequest, rank: int, obj: Any) -> bool:
        return access_of(request).may(rank)


class StuckFilter(OpeningFilter):
    """All, or what somebody may have to look at; and yesterday, for the first screen's sum."""

    title = "attention"
    parameter_name = "attention"
    stuck = staticmethod(stuck_payments)

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "All"), ("needed", "Needs attention")]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        return queryset.filter(self.stuck()) if self.value() == "needed" else queryset


class StuckCheckoutFilter(StuckFilter):
    stuck = staticmethod(stuck_checkouts)


class MoneyAdmin(ReadOnlyAdmin):
    """What payments and checkouts have in common."""

    workspace_path = "due__workspace"
    ordering = ("-created_at",)
    search_fields: tuple[str, ...] = ("due__booking__reference", "due__booking__email")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("due__booking", "due__workspace")

    @display(description="booking", ordering="due__booking__reference")
    def booking(self, row: Any) -> str:
        return link("bookings_booking", row.due.booking_id, row.due.booking.reference)

    @display(description="amount", ordering="amount_minor")
    def amount_shown(self, row: Any) -> str:
        return said_money(row.amount_minor, row.currency)

    @display(description="state", ordering="state", label=PAYMENT_LABELS)
    def state_shown(self, row: Any) -> str:
        return _words(row.state)

    @display(description="made", ordering="created_at")
    def made(self, row: Any) -> str:
        return said_moment(row.created_at, row.due.workspace.timezone)


@admin.register(Payment)
class PaymentAdmin(MoneyAdmin):
    list_display = (
        "name", "booking", "amount_shown", "state_shown", "verdict", "made",
    )  # fmt: skip
    list_filter = (StuckFilter, ("captured_at", admin.DateFieldListFilter), "provider")
    search_fields = (*MoneyAdmin.search_fields, "payment_intent_id", "reference")
    fields = (
        "name", "booking", "amount_shown", "state_shown", "verdict", "verdict_because",
        "settled_by", "decided_at", "captured_at", "voided_at", "tries", "next_try_at",
        "last_error", "account", "livemode",
    )  # fmt: skip
    readonly_fields = ("name", "booking", "amount_shown", "state_shown")
    actions_detail = ("refund",)

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    @action(description="Refund…", permissions=["manage"], icon="currency_exchange")
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payment = self.row_or_404(request, object_id, MANAGER)
        deed = money_back.refund_of_payment(request, payment, back=self.change_url(payment.pk))
        return ask_then_do(request, self.admin_site, Payment, deed)


@admin.register(Checkout)
class CheckoutAdmin(MoneyAdmin):
    list_display = ("session_shown", "booking", "amount_shown", "state_shown", "attempt", "made")
    list_filter = (StuckCheckoutFilter, "state")
    search_fields = (*MoneyAdmin.search_fields, "session_id")
    inlines = (SignalInline,)
    fields = (
        "session_shown", "booking", "amount_shown", "state_shown", "title", "email", "created_at",
        "expires_at", "ended_at", "close_requested_at", "looks", "next_look_at", "last_error",
        "account", "livemode",
    )  # fmt: skip
    readonly_fields = ("session_shown", "booking", "amount_shown", "state_shown")

    @display(description="session")
    def session_shown(self, checkout: Checkout) -> str:
        return checkout.session_id or "not made yet"


REFUND_LABELS = {
    "requested": "info",
    "submitted": "info",
    "succeeded": "success",
    "failed": "danger",
    "needs attention": "danger",
}


def needing_somebody(refunds: QuerySet) -> QuerySet:
    """Refunds that Stripe refused, and failed ones whose money was not given back anew."""
    anew = Refund.objects.filter(
        payment=OuterRef("payment"), created_at__gt=OuterRef("created_at")
    ).exclude(state=FAILED)
    return refunds.filter(Q(state=NEEDS_ATTENTION) | Q(~Exists(anew), state=FAILED))


class RefundStateFilter(OpeningFilter):
    """All, or those that somebody has to look at."""

    title = "attention"
    parameter_name = "attention"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "All"), ("needed", "Needs attention"), ("moving", "On their way")]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        if self.value() == "needed":
            return needing_somebody(queryset)
        if self.value() == "moving":
            return queryset.filter(state__in=[REQUESTED, SUBMITTED])
        return queryset


@admin.register(Refund)
class RefundAdmin(MoneyAdmin):
    """Money on its way back; one that Stripe refused is tried again or given up."""

    list_display = ("id", "booking", "amount_shown", "to", "state_shown", "cause", "made")
    list_filter = (RefundStateFilter, "to", "cause")
    search_fields = (*MoneyAdmin.search_fields, "stripe_refund_id")
    fields = (
        "booking", "amount_shown", "state_shown", "to", "cause", "reason", "actor_label",
        "stripe_refund_id", "refunds_fee", "reverses_transfer", "created_at", "submitted_at",
        "ended_at", "tries", "attempt", "next_try_at", "last_error",
    )  # fmt: skip
    readonly_fields = ("booking", "amount_shown", "state_shown")
    actions_detail = ("given", "retry", "give_up")

    @display(description="state", ordering="state", label=REFUND_LABELS)
    def state_shown(self, row: Any) -> str:
        return _words(row.state)

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only for a refund that waits for somebody."""
        waiting = self.get_queryset(request).filter(pk=object_id, state=NEEDS_ATTENTION).first()
        if waiting is None:
            return []
        other = "retry" if waiting.to == Refund.To.HAND else "given"
        offered = super().get_actions_detail(request, object_id)
        return [each for each in offered if each.path != other]

    @action(description="Given back by hand…", permissions=["manage"], icon="front_hand")
    def given(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refund = self.row_or_404(request, object_id, MANAGER)
        deed = admin_otherwise.given_by_hand(request, refund, back=self.change_url(refund.pk))
        return ask_then_do(request, self.admin_site, Refund, deed)

    @action(description="Try again…", permissions=["manage"], icon="refresh")
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refund = self.row_or_404(request, object_id, MANAGER)
        deed = money_back.retry(request, refund, back=self.change_url(refund.pk))
        return ask_then_do(request, self.admin_site, Refund, deed)

    @action(
        description="Give up…",
        permissions=["manage"],
        icon="cancel",
        variant=ActionVariant.DANGER,
    )
    def give_up(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refund = self.row_or_404(request, object_id, MANAGER)
        deed = money_back.give_up(request, refund, back=self.change_url(refund.pk))
        return ask_then_do(request, self.admin_site, Refund, deed)


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    """Cardholders' objections; they are answered in Stripe's dashboard."""

    workspace_path = "payment__due__workspace"
    list_display = ("stripe_dispute_id", "payment", "amount_shown", "status", "reason", "is_lost")
    list_filter = ("is_lost", ("closed_at", admin.EmptyFieldListFilter))
    search_fields = ("stripe_dispute_id", "payment__due__booking__reference")
    ordering = ("-opened_at",)
    fields = (
        "stripe_dispute_id", "payment", "amount_shown", "status", "reason", "opened_at",
        "closed_at", "is_lost",
    )  # fmt: skip
    readonly_fields = ("amount_shown",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("payment__due")

    @display(description="amount", ordering="amount_minor")
    def amount_shown(self, row: Any) -> str:
        return said_money(row.amount_minor, row.currency)


def _may_settle(state: str, booking_id: Any) -> bool:
    """Whether something is owed that staff may take by hand, or let go."""
    waiting = state == booking_states.AWAITING_APPROVAL
    return not waiting and admin_otherwise.open_due(booking_id) is not None


def _words(state: str) -> str:
    return state.replace("_", " ")
