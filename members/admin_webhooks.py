"""Subscribers in the admin, and what each was told: requests, answers, a button to send again."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from config.kernel.errors import InvalidInput
from members import webhook_endpoints, webhook_sending
from members.admin_filters import OpeningFilter, ScopedRelatedFilter
from members.admin_scope import MANAGER, OWNER, ReadOnlyAdmin, ScopedAdmin, access_of, staff_actor
from members.admin_words import Deed, ask_then_do, link, said_moment
from members.webhook_models import RETRY_HOURS, WebhookDelivery, WebhookEndpoint
from members.webhook_states import DELETED, DELIVERED, DISABLED, ENABLED, FAILED, PENDING, STOPPED
from members.webhook_types import MEANINGS, TEST

_LABELS = {
    "enabled": "success", "failing": "warning", "disabled": "danger", "delivered": "success",
    "waiting": "info", "retrying": "warning", "failed": "danger", "stopped": "warning",
}  # fmt: skip


class EndpointForm(forms.ModelForm):
    """The address is checked here, where its refusal can be said beside it."""

    events = forms.MultipleChoiceField(
        choices=[(kind, f"{kind} — {meaning}") for kind, meaning in MEANINGS.items()],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None for all of them, those to come as well.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = ("workspace", "url", "description", "events")

    def clean_url(self) -> str:
        try:
            return webhook_endpoints.checked_url(self.cleaned_data["url"])
        except InvalidInput as error:
            raise ValidationError(error.message) from error


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ScopedAdmin):
    """Owners make, rotate, disable and delete them; managers see them and send test events."""

    form = EndpointForm
    view_rank = MANAGER
    change_rank = add_rank = OWNER
    list_display = ("url", "description", "workspace", "state_shown", "state_since")
    list_select_related = ("workspace",)
    search_fields = ("url", "description")
    ordering = ("-created_at",)
    fields = ("workspace", "url", "description", "events")
    readonly_fields = ("state_shown", "state_since", "failing_since", "secrets_shown")
    actions_detail = ("test", "deliveries", "rotate", "enable", "disable", "remove")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).exclude(state=DELETED)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.fields, *self.readonly_fields) if obj else self.fields

    @display(description="state", label=_LABELS)
    def state_shown(self, row: WebhookEndpoint) -> str:
        if row.state == ENABLED and row.failing_since:
            return "failing"
        because = row.get_disabled_because_display()
        return f"{row.state}: {because}" if because and row.state == DISABLED else row.state

    @display(description="secret")
    def secrets_shown(self, row: WebhookEndpoint) -> str:
        if row.former_secret_until is None:
            return "Shown once, when it was made."
        until = said_moment(row.former_secret_until, row.workspace.timezone)
        return f"Rotated; the former one signs as well until {until}."

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        data = form.cleaned_data
        columns = {name: data[name] for name in ("url", "events", "description")}
        if change:
            webhook_endpoints.change(obj.pk, **columns)
            return
        made = webhook_endpoints.create(workspace=data["workspace"], **columns)
        obj.__dict__.update(made.__dict__)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return self._secret(request, obj)

    def _secret(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        """The secret, once: on this page and never in a message, which a cookie would keep."""
        context = self.admin_site.each_context(request) | {
            "title": "Copy the secret now",
            "endpoint": endpoint,
            "zone": endpoint.workspace.timezone,
            "opts": self.opts,
            "back": self.change_url(endpoint.pk),
        }
        return TemplateResponse(request, "admin/surehold/webhook_secret.html", context)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what can be done with it as it is."""
        row = self.get_queryset(request).filter(pk=object_id).first()
        without = {"enable"} if row is None or row.is_enabled else {"disable", "test"}
        offered = super().get_actions_detail(request, object_id)
        return [each for each in offered if each.action_name.rpartition("_")[2] not in without]

    def has_owner_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(OWNER)

    def has_manager_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    @action(description="Deliveries", permissions=["manager"], icon="outbox", url_path="deliveries")
    def deliveries(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id, MANAGER)
        return deliveries_of(row)

    @action(description="Send a test event…", permissions=["manager"], icon="send")
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id, MANAGER)
        deed = Deed(
            title=f"Send a test event to {row.url}",
            effects=[
                "It is of the type test.ping, signed like every other, and tried once.",
                "Its delivery, with the answer, stands among the deliveries within seconds.",
            ],
            button="Send the test event",
            done="The test event is on its way.",
            back=self.change_url(row.pk),
            perform=lambda _reason: webhook_endpoints.send_test(row.pk),
            dangerous=False,
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, WebhookEndpoint, deed)

    @action(description="Rotate the secret…", permissions=["owner"], icon="autorenew")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id, OWNER)
        if request.method == "POST":
            return self._secret(request, webhook_endpoints.rotate(row.pk))
        deed = Deed(
            title=f"Rotate the secret of {row.url}",
            effects=[
                "A new secret is shown, once.",
                "For a day both sign: deliveries carry two signatures, and either verifies.",
            ],
            button="Rotate the secret",
            done="",
            back=self.change_url(row.pk),
            perform=lambda _reason: None,
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, WebhookEndpoint, deed)

    @action(description="Enable…", permissions=["owner"], icon="play_arrow")
    def enable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id, OWNER)
        deed = Deed(
            title=f"Enable {row.url}",
            effects=[
                "It is told what happens from now on.",
                "What happened meanwhile is not made up for; what was stopped can be replayed.",
            ],
            button="Enable the endpoint",
            done="The endpoint is enabled.",
            back=self.change_url(row.pk),
            perform=lambda _reason: webhook_endpoints.enable(row.pk),
            dangerous=False,
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, WebhookEndpoint, deed)

    @action(description="Disable…", permissions=["owner"], icon="pause")
    def disable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id, OWNER)
        deed = Deed(
            title=f"Disable {row.url}",
            effects=[_stops(row), "It is told nothing of what happens until it is enabled again."],
            button="Disable the endpoint",
            done="The endpoint is disabled.",
            back=self.change_url(row.pk),
            perform=lambda _reason: webhook_endpoints.disable(row.pk, actor=staff_actor(request)),
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, WebhookEndpoint, deed)

    @action(
        description="Delete…", permissions=["owner"], icon="delete", variant=ActionVariant.DANGER
    )
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id, OWNER)
        deed = Deed(
            title=f"Delete {row.url}",
            effects=[_stops(row), "There is no way back; what it was told stays to be read."],
            button="Delete the endpoint",
            done="The endpoint is deleted.",
            back=self.change_url(row.pk).replace(f"{row.pk}/change/", ""),
            perform=lambda _reason: webhook_endpoints.delete(row.pk),
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, WebhookEndpoint, deed)


def _stops(row: WebhookEndpoint) -> str:
    waiting = row.deliveries.filter(state=PENDING).count()
    return f"{waiting} deliveries that are still to be made are stopped."


class DeliveryFilter(OpeningFilter):
    """Opens on what did not arrive: failed, stopped, or still tried again."""

    title = "state"
    parameter_name = "delivery"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("", "Did not arrive"), ("failed", "Failed"), ("stopped", "Stopped"),
            ("pending", "To be delivered"), ("delivered", "Delivered"), ("all", "All"),
        ]  # fmt: skip

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() in {FAILED, STOPPED, PENDING, DELIVERED}:
            return queryset.filter(state=self.value())
        if self.value() == "all":
            return queryset
        return queryset.filter(Q(state__in=[FAILED, STOPPED]) | Q(state=PENDING, tries__gt=0))


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """What each subscriber was told, with every request and answer."""

    workspace_path = "endpoint__workspace"
    view_rank = MANAGER
    list_display = ("kind", "endpoint_shown", "state_shown", "tries", "created_at", "next_or_end")
    list_select_related = ("message", "endpoint", "endpoint__workspace")
    list_filter = (DeliveryFilter, ("endpoint", ScopedRelatedFilter), "message__type")
    search_fields = ("message__subject_id", "message__event_id", "endpoint__url")
    ordering = ("-created_at",)
    fields = (
        "kind", "endpoint_shown", "state_shown", "event", "sequence", "booking", "created_at",
        "next_or_end", "body", "attempts_shown",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("replay",)

    @display(description="type", ordering="message__type")
    def kind(self, row: WebhookDelivery) -> str:
        return row.message.type

    @display(description="endpoint", ordering="endpoint__url")
    def endpoint_shown(self, row: WebhookDelivery) -> str:
        return (
            f"{row.endpoint.url} (deleted)" if row.endpoint.state == DELETED else row.endpoint.url
        )

    @display(description="state", ordering="state", label=_LABELS)
    def state_shown(self, row: WebhookDelivery) -> str:
        if row.state == PENDING:
            return "retrying" if row.tries > row.tries_before else "waiting"
        return row.state

    @display(description="event id")
    def event(self, row: WebhookDelivery) -> str:
        return str(row.message.event_id)

    @display(description="sequence")
    def sequence(self, row: WebhookDelivery) -> int:
        return int(row.message.sequence)

    @display(description="booking")
    def booking(self, row: WebhookDelivery) -> str:
        return link("bookings_booking", row.about, row.about) if row.about else "—"

    @display(description="next try or end")
    def next_or_end(self, row: WebhookDelivery) -> str:
        zone = row.endpoint.workspace.timezone
        if row.state == PENDING:
            return f"next try {said_moment(row.due_at, zone)}"
        return said_moment(row.ended_at, zone)

    @display(description="request body")
    def body(self, row: WebhookDelivery) -> SafeString:
        told = webhook_sending.told(row.message)
        return format_html(
            '<pre class="sh-evidence">{}</pre>', json.dumps(told, indent=2, ensure_ascii=False)
        )

    @display(description="attempts")
    def attempts_shown(self, row: WebhookDelivery) -> SafeString:
        context = {"attempts": row.attempts.order_by("-number")}
        return render_to_string("admin/surehold/webhook_attempts.html", context)

    def has_replay_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        live = self.get_queryset(request).filter(pk=object_id, endpoint__state=ENABLED).exists()
        return super().get_actions_detail(request, object_id) if live else []

    @action(description="Replay…", permissions=["replay"], icon="replay")
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id, MANAGER)
        deed = Deed(
            title=f"Send “{row.message.type}” to {row.endpoint.url} again",
            effects=[
                "It is sent within seconds, with the same id: who has seen it can tell.",
                "A test is tried once."
                if row.message.type == TEST
                else f"Should it fail, it is tried again for {RETRY_HOURS // 24} days.",
            ],
            button="Send it again",
            done="It is on its way.",
            back=self.change_url(row.pk),
            perform=lambda _reason: webhook_endpoints.replay(row),
            dangerous=False,
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, WebhookDelivery, deed)


def deliveries_of(endpoint: WebhookEndpoint) -> HttpResponse:
    """The list of what one was told, all of it."""
    listed = reverse("admin:members_webhookdelivery_changelist")
    return redirect(f"{listed}?delivery=all&endpoint__id__exact={endpoint.pk}")
