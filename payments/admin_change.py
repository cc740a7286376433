"""Staff move or extend a booking: what it would do is said to the cent first, then done once."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db import DatabaseError
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
)

from bookings.models import Booking, Change, Line, Resource
from bookings.states import COMMITTED, EXPIRED, PENDING, RELEASED
from config.kernel.errors import DomainError, InvalidInput
from config.kernel.money import Money
from holds.admin import TAKEN_ANEW, WITH_RESOURCES, change_said, line_said, moved_said
from holds.changing import NewWindow
from holds.models import Hold
from holds.states import ACTIVE
from members import request_ids
from members.admin_scope import explained, staff_actor
from members.admin_words import ReasonForm, link, said_moment
from members.idempotency import Answer, once
from payments import rescheduling
from payments.holding import placed
from payments.models.refunds import ASKED
from payments.rescheduling import BY_PRICE, NONE, Preview, Settling, Wish

# One that is pending and does not wait any more has lapsed, and nobody has tidied it yet.
_STATES = {
    PENDING: "lapsed",
    COMMITTED: "made",
    RELEASED: "let go",
    EXPIRED: "lapsed",
}
MAX_MINUTES = 120
USUAL_MINUTES = 60


class ChangeForm(ReasonForm):
    """Which line goes where, what becomes of the difference, and why."""

    line = forms.TypedChoiceField(coerce=int, widget=UnfoldAdminSelectWidget())
    resource = forms.ChoiceField(widget=UnfoldAdminSelectWidget())
    start = forms.SplitDateTimeField(label="Starts", widget=UnfoldAdminSplitDateTimeWidget)
    end = forms.SplitDateTimeField(label="Ends", widget=UnfoldAdminSplitDateTimeWidget)
    difference = forms.ChoiceField(
        label="The difference in price is",
        choices=[(BY_PRICE, "Paid or given back"), (NONE, "Left as it is")],
        widget=UnfoldAdminSelectWidget(),
    )
    to = forms.ChoiceField(
        label="What is given back goes", choices=ASKED, widget=UnfoldAdminSelectWidget()
    )
    minutes = forms.IntegerField(
        label="Minutes to pay",
        min_value=1,
        max_value=MAX_MINUTES,
        initial=USUAL_MINUTES,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=f"So long the new time is held where it costs more. At most {MAX_MINUTES}.",
    )
    field_order = ("line", "resource", "start", "end", "difference", "to", "minutes", "reason")

    def __init__(self, booking: Booking, lines: list[Line], data: Any = None) -> None:
        line = lines[0]
        here = {"line": line.position, "resource": str(line.resource_id)}
        super().__init__(data, initial=here | {"start": line.starts_at, "end": line.ends_at})
        named = [(each.position, line_said(each)) for each in lines]
        self._choose_from("line", named)
        resources = Resource.objects.filter(workspace=booking.workspace_id, is_active=True)
        self._choose_from("resource", [(str(r.pk), r.name) for r in resources.order_by("name")])
        if len(lines) == 1:
            self.fields["line"].widget = forms.HiddenInput()
        city = timezone.get_current_timezone_name().rsplit("/", 1)[-1].replace("_", " ")
        self.fields["start"].help_text = f"By the clock where the resource is: {city}."

    def _choose_from(self, name: str, choices: list[tuple[Any, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def wish(self, booking: Booking, seen: "Seen | None" = None) -> Wish:
        """What is asked for; `seen` is what its asker was shown."""
        data = self.cleaned_data
        window = NewWindow(data["line"], data["start"], data["end"], UUID(data["resource"]))
        return Wish(
            booking_id=booking.pk,
            windows=[window],
            settling=Settling(
                data["difference"], data["to"], seen.difference_minor if seen else None
            ),
            reason=data["reason"].strip(),
            version=seen.version if seen else None,
            ttl_seconds=data["minutes"] * 60,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """The booking's version and the difference that the page showed: the deed is for these."""

    version: int
    difference_minor: int

    @classmethod
    def of(cls, value: str) -> "Seen":
        """From the form's field. Raises InvalidInput for what is none of ours."""
        try:
            version, difference = value.split(":")
            return cls(int(version), int(difference))
        except ValueError:
            raise InvalidInput("Look at what it would do once more.", field="seen") from None

    def __str__(self) -> str:
        return f"{self.version}:{self.difference_minor}"


def page(request: HttpRequest, site: AdminSite, booking: Booking, *, back: str) -> HttpResponse:
    """GET asks; the first POST shows what it would do, the one with `seen` does it."""
    lines = list(WITH_RESOURCES.filter(booking=booking).order_by("position"))
    with timezone.override(_zone(request, booking, lines[0])):
        mains = [line for line in lines if line.parent_id is None]
        form = ChangeForm(booking, mains, request.POST if request.method == "POST" else None)
        shown = None
        if form.is_bound and form.is_valid():
            if "seen" in request.POST and _did(request, booking, form):
                return HttpResponseRedirect(back)
            shown = None if form.errors else _shown(booking, lines, form)
        context = site.each_context(request) | {
            "title": f"Move or extend booking {booking.reference}",
            "form": form,
            "shown": shown,
            "lines": [line_said(line) for line in lines],
            "waiting": _waiting_said(booking),
            "opts": Booking._meta,
            "back": back,
        }
        status = 422 if form.errors else 200
        answer = TemplateResponse(request, "admin/surehold/change.html", context, status=status)
        return answer.render()


def _zone(request: HttpRequest, booking: Booking, line: Line) -> ZoneInfo:
    """The clock of the place where the chosen resource is."""
    chosen = request.POST.get("resource", "")
    known = {str(r.pk): r for r in booking.workspace.resources.select_related("location")}
    return ZoneInfo(known.get(chosen, line.resource).location.timezone)


# --- What it would do ---------------------------------------------------------------------------


def _shown(booking: Booking, lines: list[Line], form: ChangeForm) -> dict[str, Any] | None:
    """The sentences before the button, and what the button carries; None with an error said."""
    wish = form.wish(booking)
    try:
        told = rescheduling.preview(booking, wish.windows, wish.settling)
    except DomainError as error:
        form.add_error(None, error.message)
        return None
    if told.taken is not None:
        form.add_error(None, "Somebody else has some of that time, or it is closed then.")
        return None
    is_owed = bool(told.to_pay.amount_minor)
    return {
        "effects": [_where(lines, form), *_money_said(booking, told, form)],
        "button": "Hold the new time and ask for the money" if is_owed else "Move it now",
        "seen": str(Seen(booking.version, told.difference.amount_minor)),
        "request_id": request_ids.issue(),
    }


def _where(lines: list[Line], form: ChangeForm) -> str:
    data = form.cleaned_data
    line = next(line for line in lines if line.position == data["line"])
    resource = Resource.objects.select_related("location").get(pk=data["resource"])
    return moved_said(line, resource, data["start"], data["end"])


def _money_said(booking: Booking, told: Preview, form: ChangeForm) -> list[str]:
    by_price = form.cleaned_data["difference"] == BY_PRICE
    if told.to_pay.amount_minor:
        return _asked_for(booking, told, form.cleaned_data["minutes"])
    if not told.difference.amount_minor:
        return ["It costs the same and is moved at once."]
    said = f"It costs {_more_said(told.difference)} than before."
    return [said, *_given_back(told, by_price=by_price), "It is moved at once."]


def _asked_for(booking: Booking, told: Preview, minutes: int) -> list[str]:
    until = timezone.now() + timedelta(minutes=minutes)
    held = f"The new time is held until {said_moment(until, booking.workspace.timezone)}."
    who = booking.name or booking.email
    asked = (
        f"{told.to_pay} more: {who} gets a mail with a link to pay it."
        if booking.email
        else (
            f"{told.to_pay} more, but this booking has no e-mail: nobody is told. Pass on the"
            " link of the hold yourself; the booking's page shows it."
        )
    )
    return [asked, held, "Until it is paid the booking stays as it is; if nobody pays, for good."]


def _given_back(told: Preview, *, by_price: bool) -> list[str]:
    if not by_price:
        return ["That is left as it is: nothing is paid and nothing goes back."]
    said = []
    if told.to_card.amount_minor:
        said.append(f"{told.to_card} goes back to the card.")
    if told.to_hand.amount_minor:
        said.append(f"{told.to_hand} was not paid by card, and is to be given back by hand.")
    if told.to_credit.amount_minor:
        said.append(f"{told.to_credit} comes back as credit.")
    if said:
        return said
    if told.difference.amount_minor > 0:
        return ["That is too little for a card to be charged, so it is not asked for."]
    return ["Nothing was paid that could go back."]


def _size(difference: Money) -> Money:
    return Money(abs(difference.amount_minor), difference.currency)


def _waiting_said(booking: Booking) -> str:
    """That an earlier change waits, and what becomes of it."""
    hold = Hold.objects.filter(booking=booking, change__isnull=False, state=ACTIVE).first()
    if hold is None or hold.lapses_at <= timezone.now():
        return ""
    until = said_moment(hold.expires_at, booking.workspace.timezone)
    return f"A change waits to be paid for until {until}. It is given up when another is made."


def changes_said(booking: Booking, zone: str) -> list[dict[str, Any]]:
    """A booking's changes with what is paid for them by, for its page."""
    lines = list(WITH_RESOURCES.filter(booking=booking))
    changes = Change.objects.filter(booking=booking).order_by("created_at")
    rows = changes.prefetch_related("holds", Prefetch("occupancies", TAKEN_ANEW))
    return [_change_row(change, booking, lines, zone) for change in rows]


def _change_row(change: Change, booking: Booking, lines: list[Line], zone: str) -> dict[str, Any]:
    hold = next(iter(change.holds.all()), None)
    waits = hold is not None and hold.state == ACTIVE and hold.lapses_at > timezone.now()
    state = _STATES[change.state]
    if hold is not None and waits:
        state = f"waits to be paid for until {said_moment(hold.expires_at, zone)}"
    return {
        "what": change_said(change, lines),
        "money": _more_said(Money(change.difference_minor, booking.currency)),
        "state": (hold and link("holds_hold", hold.pk, state)) or state,
        "when": said_moment(change.created_at, zone),
        "pay_url": rescheduling.pay_url(hold) if hold and waits else "",
    }


def _more_said(difference: Money) -> str:
    """What a change costs more or less, in words."""
    if not difference.amount_minor:
        return "costs the same"
    return f"{_size(difference)} {'more' if difference.amount_minor > 0 else 'less'}"


# --- The deed -----------------------------------------------------------------------------------


def _did(request: HttpRequest, booking: Booking, form: ChangeForm) -> bool:
    """Do it once for the page's request id, and say what came of it; a refusal is an error."""
    try:
        outcome = _once(request, booking, form)
    except (DomainError, DatabaseError) as error:
        sentence = explained(error)
        if sentence is None:
            raise
        form.add_error(None, sentence)
        return False
    messages.success(request, outcome)
    return True


def _once(request: HttpRequest, booking: Booking, form: ChangeForm) -> str:
    wish = form.wish(booking, Seen.of(request.POST["seen"]))
    key = request_ids.check(request.POST.get("request_id", ""))
    actor = staff_actor(request)

    def work() -> Answer:
        outcome = rescheduling.offer(wish, actor=actor)
        return Answer(200, {"until": outcome.hold and outcome.hold.expires_at.isoformat()})

    answer = placed(
        lambda: once(
            scope=f"member:{request.user.pk}",
            operation="admin.change",
            key=key,
            request={"booking": str(booking.pk), "wish": _digest(wish)},
            work=work,
        )
    )
    if answer.status >= 400:
        raise DomainError(answer.body["detail"])
    if answer.body["until"] is None:
        return f"{booking.reference} has moved."
    until = datetime.fromisoformat(answer.body["until"])
    return f"The new time is held until {said_moment(until, booking.workspace.timezone)}."


def _digest(wish: Wish) -> str:
    return hashlib.sha256(repr(wish).encode()).hexdigest()
