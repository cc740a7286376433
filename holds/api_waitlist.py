"""Places in line over HTTP; leaving one may let go of a hold, which touches money: payments."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from bookings.api import MAX_QUANTITY
from bookings.errors import NOT_ALLOWED
from config.api import ApiView, Fields, Query, rfc3339, rfc3339_or_none
from config.api_schemas import PAGING, answers, idempotency_header, page_of, query, several
from config.kernel.errors import NotFound
from config.pagination import paginated
from holds import waitlist
from holds.api_schemas_waitlist import WaitlistEntrySchema, WaitlistRequestSchema
from holds.errors import AlreadyFree, TooManyWaiting
from holds.models import WaitlistEntry
from holds.subjects import Claimant
from holds.waitlist import Wish
from holds.waitlist_selectors import entries_of
from holds.waitlist_states import OFFERED, WAITLIST_STATES
from members.idempotency import Answer
from members.models import Workspace

FIRST_COME = ["queued_at", "id"]


class WaitlistView(ApiView):
    @extend_schema(
        operation_id="waitlist_list",
        tags=["waitlist"],
        parameters=[
            several("state", WAITLIST_STATES.states, "Only those in these states."),
            query("resource", UUID, "Only those who wait for this resource."),
            query("email", str, "Only this person's.", high=254),
            *PAGING,
        ],
        responses=answers({200: page_of(WaitlistEntrySchema, "WaitlistEntry")}),
    )
    def get(self, request: Request) -> Response:
        """Places in line, first come first."""
        asked, rows = Query(request), entries_of(self.workspace)
        if chosen := asked.texts("state", WAITLIST_STATES.states):
            rows = rows.filter(state__in=chosen)
        if resource := asked.uuid("resource"):
            rows = rows.filter(resource_id=resource)
        if email := asked.text("email", 254):
            rows = rows.filter(email=email.strip().lower())
        return paginated(request, rows, FIRST_COME, entry_json)

    @extend_schema(
        operation_id="waitlist_create",
        tags=["waitlist"],
        request=WaitlistRequestSchema,
        parameters=[idempotency_header(required=True)],
        responses=answers(
            {200: WaitlistEntrySchema, 201: WaitlistEntrySchema},
            keyed=True,
            raises=[*NOT_ALLOWED, AlreadyFree, TooManyWaiting],
        ),
    )
    def post(self, request: Request) -> Response:
        """Wait for a taken time. 409 `slot_free` where nobody needs to wait: hold it instead.

        The same address for the same time is the same place, answered with 200.
        """
        asked = _asked(self.body())

        def join() -> Answer:
            joined = waitlist.join(
                workspace=self.workspace, wish=asked.wish, who=asked.who, actor=self.actor
            )
            return Answer(201 if joined.is_new else 200, entry_json(joined.entry))

        return self.idempotently("waitlist.create", request.data, join)


class WaitlistReadView(ApiView):
    @extend_schema(
        operation_id="waitlist_read",
        tags=["waitlist"],
        responses=answers({200: WaitlistEntrySchema}),
    )
    def get(self, request: Request, entry_id: UUID) -> Response:
        """A place in line; while it is offered, with the hold."""
        return Response(entry_json(find_entry(self.workspace, entry_id)))


def find_entry(workspace: Workspace, entry_id: UUID) -> WaitlistEntry:
    """A place in line of this workspace; others' ids are 404."""
    found = entries_of(workspace).filter(pk=entry_id).first()
    if found is None:
        raise NotFound("There is no such place in line here.")
    return found


def entry_json(entry: WaitlistEntry) -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "token": entry.token,
        "state": entry.state,
        "resource": str(entry.resource_id),
        "start": rfc3339(entry.starts_at),
        "end": rfc3339(entry.ends_at),
        "duration": entry.duration_seconds // 60,
        "quantity": entry.quantity,
        "member": {"email": entry.email, "name": entry.name},
        "queued_at": rfc3339(entry.queued_at),
        "ended_at": rfc3339_or_none(entry.ended_at),
        "offer": _offer(entry),
    }


def _offer(entry: WaitlistEntry) -> dict[str, Any] | None:
    hold = entry.hold
    if entry.state != OFFERED or hold is None:
        return None
    return {"hold": str(hold.id), "token": hold.token, "expires_at": rfc3339(hold.expires_at)}


@dataclass(frozen=True, slots=True)
class _Asked:
    """The body of POST /waitlist, checked."""

    wish: Wish
    who: Claimant


def _asked(fields: Fields) -> _Asked:
    holder = fields.object("member")
    who = Claimant(email=holder.email("email"), name=holder.text("name", 200).strip())
    if not who.email:
        holder.refuse("email", "Where to write to when it is free.")
    start, end = fields.moment("start"), fields.moment("end")
    if end <= start:
        fields.refuse("end", "The end comes after the start.")
    longest = int((end - start) / timedelta(minutes=1))
    minutes = fields.integer("duration", 1, max(1, longest))
    wish = Wish(
        resource_id=fields.uuid("resource"),
        start=start,
        end=end,
        duration_seconds=minutes and minutes * 60,
        quantity=fields.integer("quantity", 1, MAX_QUANTITY, 1),
    )
    holder.no_others()
    fields.no_others()
    return _Asked(wish, who)
