"""Leaving a line over HTTP."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.api_schemas import answers
from holds.api_waitlist import WaitlistReadView, find_entry
from payments import waiting
from payments.errors import PaymentInProgress


class WaitlistEntryView(WaitlistReadView):
    """Reading is the holds app's; leaving may have to close a Checkout first."""

    @extend_schema(
        operation_id="waitlist_delete",
        tags=["waitlist"],
        responses=answers({204: None}, raises=[PaymentInProgress]),
    )
    def delete(self, request: Request, entry_id: UUID) -> Response:
        """Leave the line. What is held for them goes to the next; 409 `payment_in_progress` while
        it is being paid.
        """
        find_entry(self.workspace, entry_id)
        waiting.leave(entry_id=entry_id, actor=self.actor)
        return Response(status=204)
