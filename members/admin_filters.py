"""List filters that open on what matters now, and offer only the user's own rows."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from members.admin_scope import access_of


class OpeningFilter(admin.SimpleListFilter):
    """A filter without “All” of its own: the first lookup, whose value is "", is the default."""

    def choices(self, changelist: Any) -> Any:
        name = self.parameter_name or ""
        for value, title in self.lookup_choices:
            yield {
                "selected": (self.value() or "") == value,
                "query_string": changelist.get_query_string({name: value})
                if value
                else changelist.get_query_string(remove=[name]),
                "display": title,
            }


class ScopedRelatedFilter(admin.RelatedFieldListFilter):
    """Choices from the user's own workspaces only (INV-9)."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        rows = access_of(request).limit(field.related_model.objects.all(), "workspace")
        return [(row.pk, str(row)) for row in rows]


class OpenFilter(OpeningFilter):
    """Opens on what nobody has closed yet (`closed_at`)."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "Open"), ("closed", "Closed"), ("all", "All")]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        if self.value() == "all":
            return queryset
        return queryset.filter(closed_at__isnull=self.value() != "closed")
