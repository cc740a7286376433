"""A workspace's Stripe account in its admin: how it stands, and the way to Stripe's questions."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action, display

from bookings.links import absolute
from config.kernel.errors import DomainError
from members.admin import WorkspaceAdmin
from members.admin_scope import OWNER
from members.admin_words import Deed, ask_then_do, said_moment
from members.models import Workspace
from payments import connect

admin.site.unregister(Workspace)


@admin.register(Workspace)
class ConnectedWorkspaceAdmin(WorkspaceAdmin):
    """The members app's admin of a workspace, with what only payments knows."""

    actions_detail = ("connect", "ask_stripe")
    fieldsets: Any = (
        *WorkspaceAdmin.fieldsets[:-1],
        (
            "Stripe",
            {
                "fields": (
                    "charges", "stripe_account_id", "account_status",
                    "application_fee_basis_points", "refund_application_fee",
                )
            },
        ),
        (
            "Late and slow payments",
            {
                "fields": (
                    "pay_again_seconds", "takes_delayed_methods", "processing_limit_seconds",
                )
            },
        ),
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "account_status")

    @display(description="how the account stands")
    def account_status(self, workspace: Workspace) -> str:
        seen = said_moment(workspace.stripe_seen_at, workspace.timezone)
        said = connect.said_status(workspace, seen)
        if workspace.takes_payments:
            return said
        return f"{said} Until it can, nothing that costs money can be booked."

    def has_connect_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """There is nothing to ask about before there is an account."""
        offered = super().get_actions_detail(request, object_id)
        has_account = self.get_queryset(request).filter(pk=object_id).exclude(stripe_account_id="")
        return offered if has_account.exists() else [a for a in offered if a.path != "ask_stripe"]

    @action(description="Connect to Stripe…", permissions=["connect"], icon="add_link")
    def connect(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET only says what would happen: Stripe sends expired links here. The button leads on."""
        workspace = self.row_or_404(request, object_id, OWNER)
        links: list[str] = []
        deed = Deed(
            title=f"Connect {workspace.name} to Stripe",
            effects=_effects(workspace),
            button="Go to Stripe",
            done="Stripe asks its questions on its own pages and then sends you back here.",
            back=self.change_url(workspace.pk),
            perform=lambda _reason: links.append(self._link(workspace)),
            dangerous=False,
            asks_reason=False,
        )
        response = ask_then_do(request, self.admin_site, Workspace, deed)
        return HttpResponseRedirect(links[0]) if links else response

    def _link(self, workspace: Workspace) -> str:
        return connect.onboarding_link(
            workspace_id=workspace.pk,
            return_url=absolute(reverse("admin:members_workspace_ask_stripe", args=[workspace.pk])),
            refresh_url=absolute(reverse("admin:members_workspace_connect", args=[workspace.pk])),
        )

    @action(description="Ask Stripe how it stands", permissions=["connect"], icon="sync")
    def ask_stripe(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Where Stripe sends the owner back to: the truth is fetched, whatever the link says."""
        workspace = self.row_or_404(request, object_id, OWNER)
        try:
            charges = connect.look(workspace.pk)
        except DomainError:
            messages.warning(request, "Stripe does not answer just now. It is asked again shortly.")
        else:
            can = "can take payments" if charges else "cannot take payments yet"
            messages.info(request, f"{workspace.name} {can}.")
        return HttpResponseRedirect(self.change_url(workspace.pk))


def _effects(workspace: Workspace) -> list[str]:
    account = workspace.stripe_account_id
    first = (
        f"The account {account} is opened at Stripe, where its owner answers what is missing."
        if account
        else "A Stripe account is made for the workspace, and Stripe asks its owner who they are."
    )
    after = (
        "Bookings that cost money are refused until Stripe lets the account take payments."
        if workspace.charges != Workspace.Charges.PLATFORM
        else "Payments go on to the platform's account until the way of charging is changed."
    )
    return [first, after]
