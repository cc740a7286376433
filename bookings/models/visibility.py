"""Which groups of members a resource is for."""

import pgtrigger
from django.db import models

from bookings.models.resources import Resource
from config.kernel.ids import new_id
from config.kernel.triggers import deferred, refuse
from members.models import MemberGroup


class ResourceGroup(models.Model):
    """A group whose members see a resource that is for certain groups only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="allowed_groups")
    group = models.ForeignKey(
        MemberGroup, on_delete=models.PROTECT, related_name="allowed_resources"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint("resource", "group", name="resource_group_once"),
        ]
        triggers = [
            deferred(
                "belongs",
                f"""
                    IF (SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id)
                       IS DISTINCT FROM
                       (SELECT g.workspace_id FROM members_membergroup g WHERE g.id = NEW.group_id)
                    THEN
                        {refuse("resource_group_within_workspace", "a group is of its workspace")}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.Insert | pgtrigger.UpdateOf("resource_id", "group_id"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group} may see {self.resource}"
