"""Workspaces, staff, keys, members and mail in the admin."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from members import (
    admin_groups,  # noqa: F401  (registers them)
    admin_webhooks,  # noqa: F401  (the same)
    api_keys,
    mail,
    staffing,
    workspaces,
)
from members.admin_durations import with_minutes
from members.admin_embed import EmbedSnippet
from members.admin_filters import OpeningFilter
from members.admin_keys import ApiKeyForm
from members.admin_scope import (
    CLERK,
    MANAGER,
    NOBODY,
    OWNER,
    ReadOnlyAdmin,
    RevocableAdmin,
    ScopedAdmin,
    access_of,
)
from members.admin_words import Deed, ask_then_do, said_moment
from members.models import ApiKey, Member, Notification, Staff, Workspace

admin.site.unregister(Group)  # roles are per workspace; Django's groups play no part


class NewWorkspaceForm(forms.ModelForm):
    """What a new workspace needs: its basics, and who runs it."""

    owner_email = forms.EmailField(
        label="First member of staff",
        max_length=254,
        widget=UnfoldAdminEmailInputWidget,
        help_text="They become its owner and get a link to sign in by mail.",
    )
    owner_name = forms.CharField(
        label="Their name", max_length=200, required=False, widget=UnfoldAdminTextInputWidget
    )

    class Meta:
        model = Workspace
        fields = ("name", "slug", "timezone", "currency")


@admin.register(Workspace)
class WorkspaceAdmin(EmbedSnippet, ScopedAdmin):
    """An owner changes their workspace; a superuser makes new ones, through the service."""

    workspace_path = ""
    change_rank = OWNER
    add_rank = NOBODY
    list_display = ("name", "slug", "timezone", "currency", "contact_email")
    search_fields = ("name", "slug")
    ordering = ("name",)
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    fieldsets = (
        (None, {"fields": ("name", "slug", "tagline", "contact_email", "accent", "logo")}),
        ("Where and in what", {"fields": ("timezone", "currency")}),
        (
            "Holds",
            {
                "fields": (
                    "hold_ttl_seconds",
                    "hold_extension_seconds",
                    "checkout_grace_seconds",
                    "max_live_holds_per_member",
                    "max_live_holds_per_visitor",
                    "max_live_holds_per_address",
                    "waitlist_ttl_seconds",
                    "max_waiting_per_member",
                )
            },
        ),
        (
            "Cancelling",
            {
                "fields": (
                    "cancel_free_hours",
                    "cancel_partial_hours",
                    "cancel_partial_percent",
                    "cancel_fee_minor",
                )
            },
        ),
        ("Series", {"fields": ("series_paid_each", "series_pay_hours")}),
        ("Tax", {"fields": ("tax_name", "tax_basis_points", "tax_is_added")}),
        ("Credit", {"fields": ("goodwill_credit_minor", "credit_valid_days")}),
        ("On other sites", {"fields": ("embed_origins", "embed_snippet")}),
        (
            "Stripe",
            {"fields": ("charges", "stripe_account_id", "application_fee_basis_points")},
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("name", "slug", "timezone", "currency")}),
        ("Who runs it", {"fields": ("owner_email", "owner_name")}),
    )

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewWorkspaceForm
        return super().get_form(request, obj, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        names = ("hold_ttl_seconds", "hold_extension_seconds", "waitlist_ttl_seconds")
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "slug":
            field.help_text = "The last part of its address. Links break if it changes."
        return with_minutes(field) if db_field.name in names else field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Money's side of a workspace is the platform's to change; prices keep their currency."""
        if obj is None or access_of(request).everything:
            return ("embed_snippet",)
        return (
            "embed_snippet",
            "currency",
            "charges",
            "stripe_account_id",
            "application_fee_basis_points",
            "refund_application_fee",
        )

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.prepopulated_fields if obj is None else {}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            if "stripe_account_id" in form.changed_data:  # what was seen was another account's
                obj.stripe_charges_enabled, obj.stripe_seen_at = False, None
            super().save_model(request, obj, form, change)
            return
        data = form.cleaned_data
        made = workspaces.create(
            name=data["name"],
            slug=data["slug"],
            timezone=data["timezone"],
            currency=data["currency"],
            owner_email=data["owner_email"],
            owner_name=data["owner_name"],
        )
        obj.__dict__.update(made.__dict__)
        messages.info(request, f"{data['owner_email']} has been invited by mail.")


class InvitationForm(forms.ModelForm):
    """Whom to invite, by e-mail: the member is made if there is none."""

    email = forms.EmailField(label="E-mail", max_length=254, widget=UnfoldAdminEmailInputWidget)
    name = forms.CharField(max_length=200, required=False, widget=UnfoldAdminTextInputWidget)

    class Meta:
        model = Staff
        fields = ("workspace", "role")


@admin.register(Staff)
class StaffAdmin(ScopedAdmin):
    """Owners invite staff, change roles and take them away; a workspace keeps one owner."""

    view_rank = MANAGER
    change_rank = add_rank = delete_rank = OWNER
    list_display = ("member", "email", "workspace", "role", "invited_at", "accepted_at")
    list_select_related = ("member", "workspace")
    list_filter = ("role",)
    search_fields = ("member__email", "member__name")
    fields = ("workspace", "member", "role", "invited_at", "accepted_at")
    add_fieldsets = ((None, {"fields": ("workspace", "email", "name", "role")}),)
    readonly_fields = ("invited_at", "accepted_at")

    @display(description="e-mail")
    def email(self, staff: Staff) -> str:
        return staff.member.email

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = InvitationForm
        return super().get_form(request, obj, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "member"] if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and not (isinstance(obj, Staff) and _is_last_owner(obj))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            if obj.role != Staff.Role.OWNER:
                staffing.keep_an_owner(obj.workspace_id, without=obj.member)
            super().save_model(request, obj, form, change)
            return
        data = form.cleaned_data
        staffing.invite(
            workspace=data["workspace"], email=data["email"], role=data["role"], name=data["name"]
        )
        email = data["email"].strip().lower()
        made = Staff.objects.get(workspace=data["workspace"], member__email=email)
        obj.__dict__.update(made.__dict__)


def _is_last_owner(staff: Staff) -> bool:
    owners = Staff.objects.filter(workspace=staff.workspace_id, role=Staff.Role.OWNER)
    return not owners.exclude(pk=staff.pk).exists() and owners.filter(pk=staff.pk).exists()


@admin.register(ApiKey)
class ApiKeyAdmin(RevocableAdmin):
    """Keys are made here and revoked; they are never deleted or un-revoked. Secret ones are shown
    once, publishable ones whenever one looks.
    """

    form = ApiKeyForm

    view_rank = MANAGER
    change_rank = add_rank = OWNER
    list_display = ("name", "hint_shown", "kind", "scope", "workspace", "created_at", "is_live")
    list_select_related = ("workspace",)
    list_filter = ("kind", "scope")
    search_fields = ("name", "hint")
    fields = ("workspace", "name", "kind", "scope", "origins", "requests_per_minute")
    readonly_fields = ("hint_shown", "shown", "created_at", "revoked_at")
    actions_detail = ("revoke",)

    @display(description="starts with")
    def hint_shown(self, key: ApiKey) -> str:
        return f"{key.hint}…"

    @display(description="state", label={"live": "success", "revoked": "danger"})
    def is_live(self, key: ApiKey) -> str:
        return "revoked" if key.revoked_at else "live"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.fields
        is_public = obj.kind == ApiKey.Kind.PUBLISHABLE
        own = ("origins", "shown") if is_public else ("hint_shown", "requests_per_minute")
        return ("workspace", "name", "kind", "scope", *own, "created_at", "revoked_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = [*super().get_readonly_fields(request, obj), "kind", "scope"]
        return fixed if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        data = form.cleaned_data
        named = {name: data[name] for name in ("workspace", "name", "scope")}
        if data["kind"] == ApiKey.Kind.PUBLISHABLE:
            made = api_keys.create_publishable(**named, origins=data["origins"])
            obj.__dict__.update(made.__dict__)
            return
        made, secret = api_keys.create(**named, requests_per_minute=data["requests_per_minute"])
        obj.__dict__.update(made.__dict__)
        request._surehold_secret = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """The secret, once: on this page and never in a message, which a cookie would keep."""
        if obj.kind == ApiKey.Kind.PUBLISHABLE:
            return HttpResponseRedirect(self.change_url(obj.pk))
        context = self.admin_site.each_context(request) | {
            "title": "Copy the key now",
            "secret": request._surehold_secret,  # type: ignore[attr-defined]
            "key": obj,
            "opts": self.opts,
            "back": self.change_url(obj.pk),
        }
        return TemplateResponse(request, "admin/surehold/secret.html", context)

    @action(
        description="Revoke…",
        permissions=["revoke"],
        icon="key_off",
        variant=ActionVariant.DANGER,
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.row_or_404(request, object_id, OWNER)
        deed = Deed(
            title=f"Revoke the key “{key.name}”",
            effects=["Every request with this key is refused from now on. There is no way back."],
            button="Revoke the key",
            done="The key is revoked.",
            back=self.change_url(key.pk),
            perform=lambda _reason: api_keys.revoke(key),
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, ApiKey, deed)


@admin.register(Member)
class MemberAdmin(ScopedAdmin):
    """People as such belong to no workspace: superusers only. Passwords are each one's own."""

    view_rank = change_rank = add_rank = NOBODY
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "created_at")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("-created_at",)
    fields = ("email", "name", "is_active", "is_staff", "is_superuser", "last_login")
    readonly_fields = ("last_login",)

    def workspace_id_of(self, obj: Any) -> None:
        return None

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = Member.objects.all()
        return rows if access_of(request).everything else rows.none()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)


class MailFilter(OpeningFilter):
    """Opens on what is not sent: that is what somebody may have to do something about."""

    title = "state"
    parameter_name = "mail"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("", "Not sent"),
            ("failed", "Failed"),
            ("pending", "Waiting"),
            ("sent", "Sent"),
            ("all", "All"),
        ]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() in {"failed", "pending", "sent"}:
            return queryset.filter(state=self.value())
        return queryset if self.value() == "all" else queryset.exclude(state="sent")


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Mail: what waits, what failed and why, what went out."""

    view_rank = CLERK
    list_display = ("kind", "to", "workspace", "state_shown", "attempts", "created_at", "sent_at")
    list_select_related = ("workspace",)
    list_filter = (MailFilter, "kind")
    search_fields = ("to", "kind", "subject_id")
    ordering = ("-created_at",)
    fields = (
        "kind", "to", "subject_line", "text", "state_shown", "attempts", "due_at", "sent_at",
        "last_error", "created_at",
    )  # fmt: skip
    readonly_fields = ("subject_line", "text", "state_shown")
    actions_detail = ("send_again",)

    @display(
        description="state",
        ordering="state",
        label={"sent": "success", "failed": "danger", "pending": "warning"},
    )
    def state_shown(self, row: Notification) -> str:
        return row.state

    @display(description="subject")
    def subject_line(self, row: Notification) -> str:
        return str(row.payload.get("subject", "")) if _may_be_read(row) else "—"

    @display(description="text")
    def text(self, row: Notification) -> str:
        """What was written; a link that signs somebody in is not for other eyes."""
        if not _may_be_read(row):
            return "It carries a link that signs the member in, so it is not shown."
        return str(row.payload.get("text", ""))

    def has_send_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(CLERK)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only a mail that was given up is sent again."""
        failed = self.get_queryset(request).filter(pk=object_id, state="failed").exists()
        return super().get_actions_detail(request, object_id) if failed else []

    @action(description="Send again…", permissions=["send"], icon="send")
    def send_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.row_or_404(request, object_id, CLERK)
        written = said_moment(row.created_at, row.workspace.timezone if row.workspace else "UTC")
        deed = Deed(
            title=f"Send “{row.kind}” to {row.to} again",
            effects=[
                f"It was written {written} and tried {row.attempts} times.",
                f"The last error: {row.last_error or 'none'}",
                "It is tried again within seconds.",
            ],
            button="Send it again",
            done="It is on its way.",
            back=self.change_url(row.pk),
            perform=lambda _reason: mail.retry(row),
            dangerous=False,
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, Notification, deed)


def _may_be_read(row: Notification) -> bool:
    """Mails that sign somebody in stay between us and them."""
    return row.kind not in {"sign_in", "invitation"}
