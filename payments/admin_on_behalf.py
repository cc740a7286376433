"""Book for somebody: what it would mean is said first, then it is done once."""

import hashlib
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from bookings.errors import SlotTaken
from bookings.models import Booking, Resource
from bookings.nearest import with_next_free
from bookings.words import policy_text
from config.kernel.errors import DomainError
from holds.claims import LineRequest
from members import request_ids
from members.admin_scope import MANAGER, access_of, explained, staff_actor
from members.admin_words import OptionalReasonForm, said_moment, said_window
from members.idempotency import Answer, once
from payments import on_behalf
from payments.external import METHODS
from payments.holding import placed
from payments.on_behalf import COMPLIMENTARY, LINK, OFFLINE, Preview, Wish

HOURS_TO_PAY = 24
MOST_HOURS = 7 * 24


class BookForm(OptionalReasonForm):
    """What, when, for whom, and how it is paid."""

    resource = forms.ChoiceField(widget=UnfoldAdminSelectWidget())
    start = forms.SplitDateTimeField(label="Starts", widget=UnfoldAdminSplitDateTimeWidget)
    end = forms.SplitDateTimeField(label="Ends", widget=UnfoldAdminSplitDateTimeWidget)
    quantity = forms.IntegerField(
        min_value=1, max_value=100_000, initial=1, widget=UnfoldAdminIntegerFieldWidget
    )
    email = forms.EmailField(
        label="Their e-mail", max_length=254, widget=UnfoldAdminEmailInputWidget
    )
    name = forms.CharField(
        label="Their name", max_length=200, required=False, widget=UnfoldAdminTextInputWidget
    )
    how = forms.ChoiceField(
        label="It is paid",
        choices=[
            (LINK, "By a link that they get by mail"),
            (OFFLINE, "By hand: they have paid"),
            (COMPLIMENTARY, "Not at all: complimentary"),
        ],
        widget=UnfoldAdminSelectWidget(),
    )
    hours = forms.IntegerField(
        label="Hours to pay by the link",
        min_value=1,
        max_value=MOST_HOURS,
        initial=HOURS_TO_PAY,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=f"So long it is held, at the longest until it begins. At most {MOST_HOURS}.",
    )
    method = forms.ChoiceField(
        label="Paid by hand by", choices=list(METHODS.items()), widget=UnfoldAdminSelectWidget()
    )
    reference = forms.CharField(
        max_length=120,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Its number in your books. Blank for the booking's own.",
    )
    overrides = forms.BooleanField(
        label="Set notice, horizon, opening hours and limits aside",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Only with a reason. Never what others have booked, nor what is blocked.",
    )
    field_order = (
        "resource", "start", "end", "quantity", "email", "name", "how", "hours", "method",
        "reference", "overrides", "reason",
    )  # fmt: skip

    def __init__(self, resources: list[Resource], data: Any = None) -> None:
        super().__init__(data)
        self._resources = {str(each.pk): each for each in resources}
        several = len({each.workspace_id for each in resources}) > 1
        field = self.fields["resource"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (pk, f"{each.workspace.name}: {each.name}" if several else each.name)
            for pk, each in self._resources.items()
        ]
        self.fields["reason"].help_text = "Kept in the history. The member does not see it."
        city = timezone.get_current_timezone_name().rsplit("/", 1)[-1].replace("_", " ")
        self.fields["start"].help_text = f"By the clock where the resource is: {city}."

    @property
    def resource_chosen(self) -> Resource:
        return self._resources[self.cleaned_data["resource"]]

    def wish(self) -> Wish:
        """What is asked for."""
        data, resource = self.cleaned_data, self.resource_chosen
        return Wish(
            workspace=resource.workspace,
            line=LineRequest(resource.pk, data["start"], data["end"], data["quantity"]),
            email=data["email"],
            name=data["name"].strip(),
            how=data["how"],
            pay_within=timedelta(hours=data["hours"]),
            method=data["method"],
            reference=data["reference"].strip(),
            overrides=data["overrides"],
            reason=data["reason"].strip(),
        )


def book(request: HttpRequest) -> HttpResponse:
    """GET asks; the first POST says what it would mean, the one with `seen` does it."""
    access = access_of(request)
    if not access.may(MANAGER):
        raise PermissionDenied
    resources = access.limit(Resource.objects.filter(is_active=True), "workspace", MANAGER)
    found = list(resources.select_related("workspace", "location").order_by("workspace", "name"))
    posted = request.POST if request.method == "POST" else None
    with timezone.override(_zone(request, found)):
        form = BookForm(found, posted)
        shown = None
        if form.is_bound and form.is_valid():
            booking = _done(request, form) if "seen" in request.POST else None
            if booking is not None:
                url = reverse("admin:bookings_booking_change", args=[booking])
                return HttpResponseRedirect(url)
            shown = None if form.errors else _shown(form)
        context = admin.site.each_context(request) | {
            "title": "Book for somebody",
            "form": form,
            "shown": shown,
            "opts": Booking._meta,
            "back": reverse("admin:index"),
        }
        status = 422 if form.errors else 200
        answer = TemplateResponse(request, "admin/surehold/change.html", context, status=status)
        return answer.render()


def _zone(request: HttpRequest, resources: list[Resource]) -> ZoneInfo:
    """The clock of the place where the chosen resource is; at first, of the first one."""
    chosen = request.POST.get("resource", "")
    known = next((r for r in resources if str(r.pk) == chosen), resources[0] if resources else None)
    return ZoneInfo(known.location.timezone if known else "UTC")


# --- What it would mean -------------------------------------------------------------------------


def _shown(form: BookForm) -> dict[str, Any] | None:
    """The sentences before the button, and what it carries; None with an error said."""
    wish = form.wish()
    try:
        told = on_behalf.preview(wish)
    except DomainError as error:
        form.add_error(None, error.message)
        return None
    for said in told.refused:
        form.add_error(None, said)
    if told.broken and not wish.overrides:
        for said in told.broken:
            form.add_error(None, f"{said} You can set this aside below, with a reason.")
    elif told.broken and not wish.reason:
        form.add_error("reason", "Say why the rules are set aside.")
    if form.errors:
        return None
    return {
        "effects": _effects(form, wish, told),
        "button": _BUTTONS[wish.how if told.price.amount_minor else ""],
        "seen": str(told.price.amount_minor),
        "request_id": request_ids.issue(),
    }


_BUTTONS = {
    LINK: "Hold it and send the link",
    OFFLINE: "Book it, paid by hand",
    COMPLIMENTARY: "Book it and ask for nothing",
    "": "Book it, free of charge",
}


def _effects(form: BookForm, wish: Wish, told: Preview) -> list[str]:
    line, resource = wish.line, form.resource_chosen
    many = f"{line.quantity} × " if line.quantity > 1 else ""
    window = said_window(line.start, line.end, resource.location.timezone)
    said = [f"{many}{resource.name}, {window}, for {wish.name or wish.email}."]
    said += [f"Set aside: {each}" for each in told.broken]
    said.append(f"It costs {told.price}." if told.price.amount_minor else "It is free.")
    if told.price.amount_minor:
        said.append(policy_text(told.terms, told.price.currency))
    return [*said, _settled(wish, told)]


def _settled(wish: Wish, told: Preview) -> str:
    zone = wish.workspace.timezone
    if not told.price.amount_minor:
        return f"It is theirs at once; {wish.email} gets the confirmation."
    if wish.how == LINK:
        until = said_moment(on_behalf.moment_until(wish, timezone.now()), zone)
        return f"{wish.email} gets a mail with a link to pay. It is held until {until}."
    if wish.how == OFFLINE:
        by = METHODS[wish.method].lower()
        return f"{told.price} is booked in, paid by {by}; {wish.email} gets the receipt."
    return f"{told.price} is waived; {wish.email} gets the confirmation."


# --- The deed -----------------------------------------------------------------------------------


def _done(request: HttpRequest, form: BookForm) -> str | None:
    """Do it once for the page's request id: the booking's id; a refusal is an error."""
    try:
        answer = _once(request, form)
    except (DomainError, DatabaseError) as error:
        sentence = explained(error)
        if sentence is None:
            raise
        form.add_error(None, sentence)
        return None
    messages.success(request, f"{answer['reference']} is booked.")
    return str(answer["booking"])


def _once(request: HttpRequest, form: BookForm) -> dict[str, Any]:
    wish, seen = form.wish(), request.POST.get("seen", "")
    key = request_ids.check(request.POST.get("request_id", ""))
    actor = staff_actor(request)

    def work() -> Answer:
        expects = int(seen) if seen.isdigit() else None
        try:
            booking = on_behalf.book(wish, actor=actor, expects_minor=expects)
        except (SlotTaken, IntegrityError) as error:
            raise with_next_free(error, wish.workspace.pk, [wish.line]) from error
        return Answer(201, {"booking": str(booking.pk), "reference": booking.reference})

    said = hashlib.sha256(repr((wish, seen)).encode()).hexdigest()
    answer = placed(
        lambda: once(
            scope=f"member:{request.user.pk}",
            operation="admin.book",
            key=f"{key}:{said[:16]}",
            request={"wish": said},
            work=work,
        )
    )
    if answer.status >= 400:
        raise DomainError(answer.body["detail"])
    body: dict[str, Any] = answer.body
    return body
