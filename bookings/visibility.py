"""Who may see a resource, and so book it: everybody, members, or certain groups of members.

Who may not see one cannot tell it from one that does not exist: not in the catalogue, not among
alternatives, and, where it counts, not by a claim, which reads this with the lock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from bookings.rules import Rules
from bookings.seen_by import SeenBy
from members.groups import groups_of
from members.models import Member

T = TypeVar("T")


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks: a member, or (None) a guest. `sees_all` is the operator: staff, and
    whoever has a secret key.
    """

    member: Member | None = None
    sees_all: bool = False

    @cached_property
    def _groups(self) -> dict[UUID, frozenset[UUID]]:
        return {}

    def groups(self, workspace_id: UUID) -> frozenset[UUID]:
        """Their groups in a workspace, asked for once."""
        if workspace_id not in self._groups:
            self._groups[workspace_id] = groups_of(self.member, workspace_id=workspace_id)
        return self._groups[workspace_id]

    def may_see(self, seen_by: SeenBy, workspace_id: UUID) -> bool:
        """Only resources that are for certain groups cost a question, and only a member's."""
        if self.sees_all or seen_by.everybody:
            return True
        if self.member is None:
            return False
        return seen_by.groups is None or bool(seen_by.groups & self.groups(workspace_id))


OPERATOR = Viewer(sees_all=True)
GUEST = Viewer()


def visible(rules: Mapping[UUID, Rules], viewer: Viewer) -> dict[UUID, Rules]:
    """What of these resources somebody may see."""
    return {
        pk: each for pk, each in rules.items() if viewer.may_see(each.seen_by, each.workspace_id)
    }


def visible_rows(rows: Iterable[T], viewer: Viewer) -> list[T]:
    """The same of Resources, which have their groups prefetched where there are many."""
    return [row for row in rows if may_see_row(row, viewer)]


def may_see_row(resource: Any, viewer: Viewer) -> bool:
    return viewer.may_see(seen_by_of(resource), resource.workspace_id)


def seen_by_of(resource: Any) -> SeenBy:
    """Who may see a resource, by its row."""
    if resource.visibility != resource.Visibility.GROUPS:
        return SeenBy(everybody=resource.visibility == resource.Visibility.PUBLIC)
    return SeenBy(False, frozenset(each.group_id for each in resource.allowed_groups.all()))
