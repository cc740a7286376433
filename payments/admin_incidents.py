"""Making good in the admin: choose a window, look at who was hit, then tell them all at once."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
)

from config.kernel.errors import DomainError
from members.admin_scope import MANAGER, ReadOnlyAdmin, ReadOnlyInline, access_of, staff_actor
from members.admin_words import said_money
from members.models import Workspace
from payments.making_good import services
from payments.making_good.hits import Hit
from payments.models import Apology, Incident

_MOST_SHOWN = 200


class IncidentForm(forms.Form):
    """The window, what each is given, and what the mail says."""

    workspace = forms.ModelChoiceField(
        Workspace.objects.none(), required=False, widget=UnfoldAdminSelectWidget
    )
    starts_at = forms.SplitDateTimeField(label="From", widget=UnfoldAdminSplitDateTimeWidget)
    ends_at = forms.SplitDateTimeField(label="To", widget=UnfoldAdminSplitDateTimeWidget)
    credit_percent = forms.IntegerField(
        label="Credit, per cent of the quoted price",
        min_value=0,
        max_value=100,
        initial=0,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    words = forms.CharField(
        label="What happened",
        max_length=500,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="For the mail; left blank, it says that something on our side had failed.",
    )

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(*args)
        access = access_of(request)
        field = self.fields["workspace"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = access.limit(Workspace.objects.order_by("name"), "", MANAGER)
        field.required = not access.everything
        field.empty_label = "All workspaces" if access.everything else "Choose one"

    def asked(self) -> dict[str, Any]:
        """What `services.preview` takes."""
        data = self.cleaned_data
        return {
            name: data[name] for name in ("workspace", "starts_at", "ends_at", "credit_percent")
        }


class ApologyInline(ReadOnlyInline):
    model = Apology
    workspace_path = "workspace"
    fields = ("email", "workspace", "quoted", "credit", "created_at", "rebooked_at")
    readonly_fields = fields

    @display(description="quoted")
    def quoted(self, apology: Apology) -> str:
        return said_money(apology.quoted_minor, apology.currency)

    @display(description="credit")
    def credit(self, apology: Apology) -> str:
        entry = apology.credit_entry
        return said_money(entry.amount_minor, apology.currency) if entry else "—"


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    """Windows that were made good, and how far each has come. Adding one is previewed first."""

    view_rank = MANAGER
    list_display = ("__str__", "workspace", "told", "rebooked", "created_by", "finished_at")
    list_select_related = ("workspace",)
    fields = (
        "workspace",
        "starts_at",
        "ends_at",
        "words",
        "told",
        "nameless",
        "credit",
        "rebooked",
        "created_by",
        "created_at",
        "finished_at",
    )
    readonly_fields = fields
    inlines = (ApologyInline,)

    @display(description="told")
    def told(self, incident: Incident) -> str:
        report = services.report(incident)
        return f"{report.told} of {report.people}"

    @display(description="booked again")
    def rebooked(self, incident: Incident) -> int:
        return services.report(incident).rebooked

    @display(description="credit given")
    def credit(self, incident: Incident) -> str:
        return services.report(incident).credit or "—"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """GET asks, and with a window shows who was hit; POST tells them."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self.in_zone(request, lambda: self._make_good(request))

    def _make_good(self, request: HttpRequest) -> HttpResponse:
        given = request.POST if request.method == "POST" else request.GET
        form = IncidentForm(request, given if "starts_at_0" in given else None)
        found = self._preview(form) if form.is_bound and form.is_valid() else None
        if request.method == "POST" and found is not None:
            data = form.cleaned_data
            incident = services.begin(
                **form.asked(), words=data["words"], actor=staff_actor(request)
            )
            messages.success(request, "They are being told. This page shows how far it has come.")
            return HttpResponseRedirect(self.change_url(incident.pk))
        context = self.admin_site.each_context(request) | {
            "title": "Make good",
            "form": form,
            "found": found,
            "rows": [_row(hit) for hit in (found.told if found else [])[:_MOST_SHOWN]],
            "opts": self.opts,
            "query": urlencode(request.GET),
        }
        return TemplateResponse(request, "admin/surehold/make_good.html", context)

    def _preview(self, form: IncidentForm) -> services.Preview | None:
        try:
            return services.preview(**form.asked())
        except DomainError as error:
            field = error.field
            form.add_error(field if field in form.fields else None, error.message)
            return None


def _row(hit: Hit) -> dict[str, Any]:
    """One person, in words."""
    money = [f"{payment.amount} {payment.state.replace('_', ' ')}" for payment in hit.payments]
    happened = [f"{hit.attempts} failed attempts"] if hit.attempts > 1 else []
    happened += ["1 failed attempt"] if hit.attempts == 1 else []
    happened += [f"{booking.reference} cancelled" for booking in hit.cancelled]
    return {
        "email": hit.email,
        "workspace": hit.workspace.name,
        "happened": ", ".join(happened),
        "money": ", ".join(money) or "nothing charged",
        "quoted": said_money(hit.quoted_minor, hit.workspace.currency),
    }
