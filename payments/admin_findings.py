"""Findings in the admin: what was seen, its evidence, and what can be done about it."""

import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from config.kernel.errors import DomainError
from config.kernel.money import Money, minor_of
from members.admin_filters import OpenFilter
from members.admin_scope import MANAGER, ReadOnlyAdmin, access_of, explained, staff_actor
from members.admin_words import ReasonForm, link, said_moment
from payments.models import Finding
from payments.reconciler import deeds, strangers
from payments.reconciler.about import About, about

SEVERITIES = {"high": "danger", "medium": "warning", "low": "info"}


def offered(it: About) -> list[tuple[str, str]]:
    """What can be done about an open finding: (name of the deed, its button)."""
    if it.finding.closed_at is not None:
        return []
    amount = it.refundable or it.returnable
    found = [
        ("rebook", "Rebook…", it.can_rebook),
        ("attach", "Attach…", it.can_attach),
        ("record", "Record…", it.can_record),
        ("refund", f"Refund {amount}…", amount is not None),
        ("credit", "Give credit…", it.can_credit),
        ("dismiss", "Dismiss…", True),
    ]
    return [(name, label) for name, label, is_offered in found if is_offered]


class NoteForm(ReasonForm):
    """Why it is dealt with like this."""

    reason = forms.CharField(
        label="Note",
        max_length=300,
        widget=ReasonForm.base_fields["reason"].widget,
        help_text="Kept with the finding, and with what is done about it.",
    )


class AttachForm(NoteForm):
    reference = forms.CharField(
        label="Booking", max_length=12, widget=UnfoldAdminTextInputWidget, help_text="K7QM2XPD"
    )
    field_order = ["reference", "reason"]


class RefundForm(NoteForm):
    """What was shown goes along: another amount is never paid out."""

    expects = forms.IntegerField(widget=forms.HiddenInput(), required=False)


class CreditForm(NoteForm):
    amount = forms.DecimalField(
        label="Amount", min_value=0, max_digits=12, widget=UnfoldAdminDecimalFieldWidget
    )
    field_order = ["amount", "reason"]


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """A finding, once per cause; it closes itself when its cause is gone."""

    list_display = ("summary", "severity_shown", "kind_shown", "seen_shown", "closed_shown")
    list_filter = (OpenFilter, "severity", "kind")
    search_fields = ("summary", "subject_id", "kind")
    ordering = ("severity", "-last_seen_at")
    fields = (
        "summary", ("severity_shown", "kind_shown"), "about", ("seen_shown", "last_seen_shown"),
        "done", ("closed_shown", "closed_by"), "note", "evidence_shown",
    )  # fmt: skip
    readonly_fields = (
        "severity_shown", "kind_shown", "about", "seen_shown", "last_seen_shown", "closed_shown",
        "evidence_shown",
    )  # fmt: skip
    actions_detail = ("rebook", "attach", "record", "refund", "credit", "dismiss")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("workspace")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what can be done about this one."""
        finding = self.get_queryset(request).filter(pk=object_id).first()
        wanted = {name for name, _ in offered(about(finding))} if finding else set()
        found = super().get_actions_detail(request, object_id)
        return [each for each in found if each.path in wanted]

    def has_manage_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    # --- What is shown --------------------------------------------------------------------------

    @display(description="severity", ordering="severity", label=SEVERITIES)
    def severity_shown(self, finding: Finding) -> str:
        return finding.severity

    @display(description="kind", ordering="kind")
    def kind_shown(self, finding: Finding) -> str:
        return finding.kind.replace("_", " ")

    @display(description="first seen", ordering="seen_at")
    def seen_shown(self, finding: Finding) -> str:
        return said_moment(finding.seen_at, _zone(finding))

    @display(description="last seen", ordering="last_seen_at")
    def last_seen_shown(self, finding: Finding) -> str:
        return f"{said_moment(finding.last_seen_at, _zone(finding))}, {finding.seen} ×"

    @display(description="closed", ordering="closed_at")
    def closed_shown(self, finding: Finding) -> str:
        if finding.closed_at is None:
            return "open"
        return (
            f"{finding.get_resolution_display()}, {said_moment(finding.closed_at, _zone(finding))}"
        )

    @display(description="about")
    def about(self, finding: Finding) -> str:
        """The rows it is about, as links."""
        booking = about(finding).booking
        if booking is not None:
            return link("bookings_booking", booking.pk, f"Booking {booking.reference}")
        told = finding.evidence.get("bookings", [])
        if not told:
            return f"{finding.subject_type.replace('_', ' ')} {finding.subject_id}"
        links = [link("bookings_booking", each["id"], each["reference"]) for each in told]
        return format_html("Bookings {}", SafeString(", ".join(links)))

    @display(description="evidence")
    def evidence_shown(self, finding: Finding) -> str:
        told = json.dumps(finding.evidence, indent=2, ensure_ascii=False, sort_keys=True)
        return format_html('<pre class="sh-evidence" tabindex="0">{}</pre>', told)

    # --- What is done ---------------------------------------------------------------------------

    @action(description="Dismiss…", permissions=["manage"], icon="do_not_disturb_on")
    def dismiss(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(
            request,
            object_id,
            "dismiss",
            title="Dismiss this finding",
            effects=[
                "Nothing is changed about it. It leaves the queue, with your note.",
                "It is told of again only when something about it changes.",
            ],
            perform=lambda finding, form: deeds.dismiss(
                finding, actor=staff_actor(request), note=form.cleaned_data["reason"]
            ),
            done="The finding is dismissed.",
        )

    @action(description="Refund…", permissions=["manage"], icon="currency_exchange")
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        it = about(self.row_or_404(request, object_id, MANAGER))
        if it.returnable is not None:
            return self._give_back(request, object_id, it.returnable)
        amount = it.refundable
        return self._ask(
            request,
            object_id,
            "refund",
            form_class=RefundForm,
            initial={"expects": amount.amount_minor if amount is not None else None},
            title=f"Refund {amount}",
            effects=[f"{amount} goes back the way it came.", "The member is told, with your note."],
            perform=lambda finding, form: deeds.refund(
                finding,
                actor=staff_actor(request),
                note=form.cleaned_data["reason"],
                expects_minor=form.cleaned_data["expects"],
            ),
            done=f"{amount} is on its way back.",
        )

    def _give_back(self, request: HttpRequest, object_id: str, amount: Money) -> HttpResponse:
        """The same for a payment at Stripe of which we have no booking, and so nobody to tell."""
        return self._ask(
            request,
            object_id,
            "refund",
            title=f"Refund {amount}",
            effects=[
                f"Stripe gives {amount} back, or lets it go where it was not taken yet.",
                "Nobody is told by Surehold: it has no booking for this payment.",
            ],
            perform=lambda finding, form: strangers.give_back(
                finding, actor=staff_actor(request), note=form.cleaned_data["reason"]
            ),
            done=f"{amount} is on its way back.",
        )

    @action(description="Record…", permissions=["manage"], icon="edit_note")
    def record(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(
            request,
            object_id,
            "record",
            title="Record this refund",
            effects=[
                "It counts as given back from now on, and the member gets its note by mail.",
                "The booking stays as it is: cancel it yourself if it was given up.",
            ],
            perform=lambda finding, form: strangers.record(
                finding, actor=staff_actor(request), note=form.cleaned_data["reason"]
            ),
            done="The refund is recorded.",
        )

    @action(description="Rebook…", permissions=["manage"], icon="event_available")
    def rebook(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(
            request,
            object_id,
            "rebook",
            title="Confirm the booking after all",
            effects=[
                "If its time is still free, the booking is confirmed with the payment it has.",
                "The member gets the confirmation. If the time is gone, nothing changes.",
            ],
            perform=lambda finding, form: deeds.rebook(
                finding, actor=staff_actor(request), note=form.cleaned_data["reason"]
            ),
            done="The booking is confirmed.",
        )

    @action(description="Attach…", permissions=["manage"], icon="link")
    def attach(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(
            request,
            object_id,
            "attach",
            form_class=AttachForm,
            title="Attach this payment to a booking",
            effects=[
                "It pays, to the cent, for a booking that stands unpaid or is held.",
                "A hold is confirmed by it, if its time is still free, and the member is told.",
            ],
            perform=lambda finding, form: strangers.attach(
                finding,
                reference=form.cleaned_data["reference"],
                actor=staff_actor(request),
                note=form.cleaned_data["reason"],
            ),
            done="The payment is attached.",
        )

    @action(description="Give credit…", permissions=["manage"], icon="redeem")
    def credit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(
            request,
            object_id,
            "credit",
            form_class=CreditForm,
            title="Give credit for it",
            effects=[
                "The booking's member can spend it here at once. Nothing goes to a card.",
                "What could be refunded becomes credit; more than that is a gift.",
            ],
            perform=lambda finding, form: deeds.credit(
                finding,
                amount_minor=_minor(finding, form.cleaned_data["amount"]),
                actor=staff_actor(request),
                note=form.cleaned_data["reason"],
            ),
            done="The credit is given.",
        )

    def _ask(
        self,
        request: HttpRequest,
        object_id: str,
        name: str,
        *,
        title: str,
        effects: list[str],
        perform: Callable[[Finding, forms.Form], None],
        done: str,
        form_class: type[forms.Form] = NoteForm,
        initial: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """GET shows what would happen; POST does it, or says why not."""
        finding = self.row_or_404(request, object_id, MANAGER)
        form = form_class(request.POST if request.method == "POST" else None, initial=initial)
        labels = dict(offered(about(finding)))
        if name not in labels:
            messages.warning(request, "That cannot be done about this finding any more.")
            return HttpResponseRedirect(self.change_url(finding.pk))
        if request.method == "POST" and form.is_valid() and _did(finding, form, perform):
            messages.success(request, done)
            return HttpResponseRedirect(reverse("payments_admin:money_and_slots"))
        context = self.admin_site.each_context(request) | {
            "title": title,
            "finding": finding,
            "effects": effects,
            "form": form,
            "button": labels[name].removesuffix("…"),
            "back": self.change_url(finding.pk),
            "opts": self.opts,
        }
        status = 200 if request.method == "GET" else 422
        return TemplateResponse(request, "admin/surehold/finding.html", context, status=status)


def _did(
    finding: Finding, form: forms.Form, perform: Callable[[Finding, forms.Form], None]
) -> bool:
    try:
        perform(finding, form)
    except (DomainError, DatabaseError) as error:
        sentence = explained(error)
        if sentence is None:
            raise
        form.add_error(None, sentence)
        return False
    return True


def _minor(finding: Finding, amount: Any) -> int:
    due = about(finding).due
    return minor_of(amount, due.currency if due is not None else "")


def _zone(finding: Finding) -> str:
    return finding.workspace.timezone if finding.workspace else "UTC"
