"""How much one member may book: by day, by week, by month."""

import pgtrigger
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from bookings.models.places import Category
from bookings.models.resources import Resource
from config.kernel.ids import new_id
from config.kernel.triggers import deferred, refuse
from members.models import Workspace

# The workspace's own trigger, below, finds out what is so.
_MARKS_WORKSPACE = """
    UPDATE members_workspace SET limits_bookings = true
    WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.workspace_id ELSE NEW.workspace_id END;
    RETURN NULL;
"""


class BookingLimit(models.Model):
    """The most that one member books: in a whole workspace, in a category, or of one resource.

    What is blank is not limited. Days, weeks (from Monday) and months are those of each resource's
    place. `bookings/limits.py` is how it is counted. A workspace that has none is marked so on its
    own row: its claims do not even ask.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="booking_limits"
    )
    category = models.ForeignKey(
        Category,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="booking_limits",
        help_text="Blank for all of the workspace.",
    )
    resource = models.ForeignKey(
        Resource, on_delete=models.CASCADE, null=True, blank=True, related_name="booking_limits"
    )
    bookings_per_day = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Blank for no limit."
    )
    bookings_per_week = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="From Monday."
    )
    hours_per_month = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "category", "resource"],
                name="booking_limit_once_per_scope",
                nulls_distinct=False,
                violation_error_message="There is a limit for that already.",
            ),
            models.CheckConstraint(
                name="booking_limit_one_scope",
                condition=Q(category=None) | Q(resource=None),
                violation_error_message="Choose a category or a resource, not both.",
            ),
            models.CheckConstraint(
                name="booking_limit_limits_something",
                condition=Q(bookings_per_day__gte=1)
                | Q(bookings_per_week__gte=1)
                | Q(hours_per_month__gte=1),
                violation_error_message="Give at least one of the limits.",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="marks_workspace",
                operation=pgtrigger.Insert | pgtrigger.Delete,
                when=pgtrigger.After,
                func=_MARKS_WORKSPACE,
            ),
            deferred(
                "belongs",
                f"""
                    IF TG_OP = 'UPDATE' AND NEW.workspace_id <> OLD.workspace_id
                       OR EXISTS (SELECT 1 FROM bookings_resource r
                                  WHERE r.id = NEW.resource_id
                                    AND r.workspace_id <> NEW.workspace_id)
                       OR EXISTS (SELECT 1 FROM bookings_category c
                                  WHERE c.id = NEW.category_id
                                    AND c.workspace_id <> NEW.workspace_id) THEN
                        {refuse("booking_limit_within_workspace", "a limit stays in its workspace")}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.Insert | pgtrigger.UpdateOf("workspace_id", "resource_id", "category_id"),
            ),
        ]

    def __str__(self) -> str:
        scope = self.resource or self.category
        return f"limit for {scope}" if scope else "limit for all of the workspace"


class LimitedWorkspace(Workspace):
    """Workspaces seen from here: whether one limits bookings is found out whenever it is written.

    PostgreSQL locks the row before this looks, so that limits that come and go at once see each
    other; and a workspace that is saved from an older reading does not undo the mark.
    """

    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Trigger(
                name="limits_bookings",
                operation=pgtrigger.UpdateOf("limits_bookings"),
                when=pgtrigger.Before,
                func="""
                    NEW.limits_bookings = EXISTS (
                        SELECT 1 FROM bookings_bookinglimit l WHERE l.workspace_id = NEW.id
                    );
                    RETURN NEW;
                """,
            )
        ]
