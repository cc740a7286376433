"""Who sees and does what in the admin: by the roles a member has, workspace by workspace (INV-9).

Django's own model permissions are not used: a superuser may everything, staff may what their role
in the row's workspace allows. A clerk reads and releases holds, a manager also changes the
catalogue and bookings, an owner also staff, keys and the workspace itself.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, models
from django.forms import HiddenInput, ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline

from config.kernel.context import Actor
from config.kernel.database_errors import constraint_of, translated
from config.kernel.errors import DomainError
from members.models import Staff, Workspace

CLERK, MANAGER, OWNER = 1, 2, 3
NOBODY = 4  # superusers only
_RANKS: dict[str, int] = {
    Staff.Role.CLERK: CLERK,
    Staff.Role.MANAGER: MANAGER,
    Staff.Role.OWNER: OWNER,
}

# What the database's refusals mean on a form. Constraints of models bring their own sentence.
REFUSALS = {
    "resource_within_workspace": "Choose a location and a category of the same workspace.",
    "resource_mode_is_fixed_once_used": "The mode is fixed once the resource has been booked.",
    "resource_stays_in_workspace": "A resource stays in its workspace.",
    "resource_capacity_covers_bookings": "More units than that are booked already.",
    "resource_with_history": "It has bookings, which are kept. Make it not bookable instead.",
    "resource_is_offered_as_an_add_on": "It is offered as an add-on, which only a pool can be.",
    "add_on_is_a_pool_of_the_workspace": "An add-on is a pool of the same workspace.",
    "unit_is_of_a_pool": "Only a pool has units.",
    "unit_is_of_the_lines_pool": "A unit goes out for a line of its own pool.",
    "block_within_workspace": "The resource belongs to another workspace.",
    "staff_once_per_workspace": "This member has a role here already.",
    "group_membership_once": "Somebody is named twice.",
    "price_within_workspace": "Choose a group of the same workspace.",
    "feed_within_workspace": "Choose a resource or a location of the same workspace.",
    "connected_resource_belongs": "A calendar serves resources of its own workspace; its busy "
    "times block those that one books at a time, and an ICS address is only read.",
    "opening_hours_of_one_owner": "Opening hours belong to a location or to a resource.",
}


@dataclass(frozen=True)
class Access:
    """What one request's user may do, by workspace."""

    everything: bool
    ranks: dict[UUID, int]

    def may(self, rank: int, workspace_id: UUID | None = None) -> bool:
        """Whether they have at least this rank there, or anywhere when no workspace is given."""
        if self.everything:
            return True
        if workspace_id is None:
            return any(own >= rank for own in self.ranks.values())
        return self.ranks.get(workspace_id, 0) >= rank

    def limit(self, rows: models.QuerySet, path: str, rank: int = CLERK) -> models.QuerySet:
        """Only rows whose workspace, found along `path`, is theirs at this rank."""
        if self.everything:
            return rows
        mine = [workspace for workspace, own in self.ranks.items() if own >= rank]
        return rows.filter(**{f"{path}__in" if path else "pk__in": mine})


def access_of(request: HttpRequest) -> Access:
    """The user's roles, read once a request."""
    known: Access | None = getattr(request, "_surehold_access", None)
    if known is None:
        known = _access(request.user)
        request._surehold_access = known  # type: ignore[attr-defined]
    return known


def _access(user: Any) -> Access:
    if not (user.is_active and user.is_staff):
        return Access(False, {})
    if user.is_superuser:
        return Access(True, {})
    roles = Staff.objects.filter(member=user).values_list("workspace_id", "role")
    return Access(False, {workspace: _RANKS.get(role, 0) for workspace, role in roles})


def staff_actor(request: HttpRequest) -> Actor:
    """The signed-in member of staff as history knows them."""
    return Actor("staff", id=str(request.user.pk), label=str(request.user))


def is_clerk(request: HttpRequest) -> bool:
    return access_of(request).may(CLERK)


def is_manager(request: HttpRequest) -> bool:
    return access_of(request).may(MANAGER)


def is_owner(request: HttpRequest) -> bool:
    return access_of(request).may(OWNER)


def is_superuser(request: HttpRequest) -> bool:
    return access_of(request).everything


def zone_of(request: HttpRequest, workspace: Workspace | None = None) -> ZoneInfo:
    """The zone in which a page shows times: the row's workspace's, or their first one's."""
    if workspace is None:
        mine = access_of(request).limit(Workspace.objects.order_by("name"), "")
        workspace = mine.only("timezone").first()
    return ZoneInfo(workspace.timezone if workspace else "UTC")


def explained(error: Exception) -> str | None:
    """A refusal as a sentence for a form, or None when it is a bug."""
    if isinstance(error, DomainError):
        return error.message
    if not isinstance(error, DatabaseError):
        return None
    name = constraint_of(error)
    if name in REFUSALS:
        return REFUSALS[name]
    known = translated(error)
    return known.message if known else _of_constraint(name)


def _of_constraint(name: str) -> str | None:
    """The sentence of the model constraint by this name."""
    from django.apps import apps

    for model in apps.get_models() if name else []:
        for constraint in model._meta.constraints:
            if constraint.name == name:
                return str(constraint.get_violation_error_message())
    return None


class ScopedMixin:
    """Rows, choices and permissions by role; `workspace_path` leads from the row to its workspace.

    `view_rank`, `change_rank`, `add_rank` and `delete_rank` say which role it takes.
    """

    workspace_path: ClassVar[str] = "workspace"
    view_rank: ClassVar[int] = CLERK
    change_rank: ClassVar[int] = MANAGER
    add_rank: ClassVar[int] = MANAGER
    delete_rank: ClassVar[int | None] = None  # never

    def workspace_id_of(self, obj: models.Model) -> UUID | None:
        """The row's workspace, along `workspace_path`."""
        *way, last = self.workspace_path.split("__") if self.workspace_path else ["pk"]
        row: Any = obj
        for name in way:
            row = getattr(row, name)
        found: UUID | None = getattr(row, f"{last}_id" if self.workspace_path else last)
        return found

    def has_module_permission(self, request: HttpRequest) -> bool:
        return access_of(request).may(self.view_rank)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.view_rank, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(self.add_rank)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.change_rank, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.delete_rank is not None and self._may(request, self.delete_rank, obj)

    def _may(self, request: HttpRequest, rank: int, obj: Any) -> bool:
        workspace_id = self.workspace_id_of(obj) if isinstance(obj, models.Model) else None
        return access_of(request).may(rank, workspace_id)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Only rows of workspaces in which the user may change such things."""
        related = db_field.related_model
        path = "" if related is Workspace else "workspace"
        if path == "" or any(field.name == "workspace" for field in related._meta.fields):
            rows = kwargs.get("queryset")
            rows = related._default_manager.all() if rows is None else rows
            kwargs["queryset"] = access_of(request).limit(rows, path, self.add_rank)
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        if related is Workspace and field is not None:
            _choose_the_only(field)
        return field


def _choose_the_only(field: Any) -> None:
    """Who works in one workspace is not asked which."""
    mine = list(field.queryset[:2])
    if len(mine) == 1:
        field.initial = mine[0].pk
        field.widget = HiddenInput()


class ScopedInline(ScopedMixin, TabularInline):
    """Rows of a parent that is in scope already; its role decides."""

    extra = 0
    hide_title = True

    def _may(self, request: HttpRequest, rank: int, obj: Any) -> bool:
        workspace_id = None
        if isinstance(obj, models.Model):
            workspace_id = obj.pk if isinstance(obj, Workspace) else obj.workspace_id  # type: ignore[attr-defined]
        return access_of(request).may(rank, workspace_id)


class ScopedAdmin(ScopedMixin, ModelAdmin):
    """A model's admin within the user's workspaces; refusals of the database are form errors."""

    show_full_result_count = False
    list_per_page = 50
    compressed_fields = True
    warn_unsaved_form = True
    actions: ClassVar[list[str]] = []

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        rows = super().get_queryset(request)
        return access_of(request).limit(rows, self.workspace_path, self.view_rank)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A row stays in its workspace."""
        fields = list(super().get_readonly_fields(request, obj))
        return [*fields, "workspace"] if obj and self.workspace_path == "workspace" else fields

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Deleting many at once is nobody's work here."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> type[ModelForm]:
        """A form that tells what the database refused, should it have been asked already."""
        form = super().get_form(request, obj, **kwargs)
        refusal: str = getattr(request, "_surehold_refusal", "")
        if not refusal:
            return form

        class RefusedForm(form):  # type: ignore[valid-type, misc]
            def clean(self) -> Any:
                super().clean()
                raise ValidationError(refusal)

        return RefusedForm

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Deferred rules are asked here, before anybody is told that it was saved."""
        super().save_related(request, form, formsets, change)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        view = super().changelist_view
        return self.in_zone(request, lambda: view(request, extra_context))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        parent = super().changeform_view

        def view() -> HttpResponse:
            return parent(request, object_id, form_url, extra_context)

        try:
            return self.in_zone(request, view)
        except (DatabaseError, DomainError) as error:
            sentence = explained(error)
            if sentence is None or request.method != "POST":
                raise
            request._surehold_refusal = sentence  # type: ignore[attr-defined]
            return self.in_zone(request, view)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except DatabaseError as error:
            sentence = explained(error)
            if sentence is None:
                raise
            messages.error(request, sentence)
            return HttpResponseRedirect(self.change_url(object_id))

    def in_zone(
        self,
        request: HttpRequest,
        view: Callable[[], HttpResponse],
        workspace: Workspace | None = None,
    ) -> HttpResponse:
        """The view's answer, rendered with times in the workspace's zone."""
        with timezone.override(zone_of(request, workspace)):
            response = view()
            with suppress(AttributeError):
                response.render()  # type: ignore[attr-defined]
            return response

    def row_or_404(self, request: HttpRequest, object_id: str, rank: int) -> Any:
        """The row when it is theirs at this rank; 404 for any other, so that none can be probed."""
        rows = access_of(request).limit(self.get_queryset(request), self.workspace_path, rank)
        try:
            row = rows.filter(pk=object_id).first()
        except (ValidationError, ValueError):
            row = None
        if row is None:
            raise Http404
        return row

    def change_url(self, object_id: Any) -> str:
        opts = self.opts
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[object_id])


class RevocableAdmin(ScopedAdmin):
    """Of what can be revoked for good (`revoked_at`): the deed is offered while it is live."""

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        live = self.get_queryset(request).filter(pk=object_id, revoked_at=None).exists()
        return super().get_actions_detail(request, object_id) if live else []

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)


class ReadOnlyMixin:
    """Rows that services write: the admin shows them, and history stays (INV-3, INV-7)."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnlyMixin, ScopedAdmin):
    """A scoped model that nobody edits here; its actions go through services."""

    warn_unsaved_form = False


class ReadOnlyInline(ReadOnlyMixin, ScopedInline):
    """Rows that belong to the one shown, as they are."""

    can_delete = False
    show_change_link = False
