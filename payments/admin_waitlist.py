"""What staff do with a line: take somebody off it, and have it looked along at once."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant

from holds.admin_waitlist import WaitlistAdminBase
from holds.models import WaitlistEntry
from holds.offering import offer
from holds.waitlist_states import OFFERED
from members.admin_scope import CLERK, access_of, staff_actor
from members.admin_words import Deed, ask_then_do
from payments import waiting


@admin.register(WaitlistEntry)
class WaitlistAdmin(WaitlistAdminBase):
    """Any member of staff may do both; nobody moves anybody up."""

    actions_detail = ("offer_now", "remove")
    actions_row = ("remove",)

    def has_remove_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(CLERK)

    @action(
        description="Remove…",
        permissions=["remove"],
        icon="person_remove",
        variant=ActionVariant.DANGER,
    )
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entry = self.row_or_404(request, object_id, CLERK)
        return ask_then_do(request, self.admin_site, WaitlistEntry, self._remove(request, entry))

    @action(description="Offer what is free…", permissions=["remove"], icon="notifications_active")
    def offer_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entry = self.row_or_404(request, object_id, CLERK)
        return ask_then_do(request, self.admin_site, WaitlistEntry, self._offer(entry))

    def _remove(self, request: HttpRequest, entry: WaitlistEntry) -> Deed:
        effects = [f"{self.who(entry)} does not wait for {entry.resource} any more."]
        if entry.state == OFFERED:
            effects.append(
                "What is held for them goes to the next in line. If they are on the payment page, "
                "it is closed first; if they have paid by then, they keep it and you are told so."
            )
        effects.append("They get a mail with your reason.")
        return Deed(
            title=f"Remove {self.who(entry)} from the waiting list",
            effects=effects,
            button="Remove them from the list",
            done="They are off the list.",
            back=self.change_url(entry.pk),
            perform=lambda reason: waiting.remove(
                entry_id=entry.pk, actor=staff_actor(request), reason=reason
            ),
        )

    def _offer(self, entry: WaitlistEntry) -> Deed:
        return Deed(
            title=f"Offer what is free of {entry.resource}",
            effects=[
                "What is free now is held for those in line whom it fits, the first in line first.",
                "It happens by itself soon after something becomes free; this does it at once.",
                "Nobody is moved up.",
            ],
            button="Look along the line now",
            done="The line has been looked along.",
            back=self.change_url(entry.pk),
            perform=lambda _reason: offer(entry.resource_id),
            dangerous=False,
            asks_reason=False,
        )
