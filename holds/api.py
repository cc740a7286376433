"""A hold's state and its one extension over HTTP; placing and ending one touch money: payments."""

from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, Func, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.api import ApiView
from config.api_schemas import ETAG, HOLD_TOKEN_HEADER, answers, idempotency_header
from config.etags import etag
from config.kernel.errors import NotFound
from holds import services
from holds.api_schemas import HoldSchema
from holds.errors import HoldExpired, HoldNotExtendable
from holds.models import Hold
from holds.shown import hold_json
from members.idempotency import Answer
from members.models import Workspace


class HoldReadView(ApiView):
    publishable = frozenset({"GET"})

    @extend_schema(
        operation_id="holds_read",
        tags=["holds"],
        parameters=[HOLD_TOKEN_HEADER, ETAG],
        responses=answers({200: HoldSchema}),
    )
    def get(self, request: Request, hold_id: UUID) -> Response:
        """A hold as it is now: one whose time is up reads `expired` at once."""
        hold = find_hold(self.workspace, hold_id, token=self.hold_token)
        body = hold_json(hold, now=hold.now)
        return Response(body, headers={"ETag": etag(hold.booking.version)})


class HoldExtendView(ApiView):
    publishable = frozenset({"POST"})

    @extend_schema(
        operation_id="holds_extend",
        tags=["holds"],
        request=None,
        parameters=[idempotency_header(required=False), HOLD_TOKEN_HEADER],
        responses=answers({200: HoldSchema}, keyed=True, raises=[HoldExpired, HoldNotExtendable]),
    )
    def post(self, request: Request, hold_id: UUID) -> Response:
        """More time, once, by the workspace's extension."""
        self.body().no_others()
        hold = find_hold(self.workspace, hold_id, token=self.hold_token)

        def extend() -> Answer:
            extended = services.extend(hold_id=hold.id, actor=self.actor)
            return Answer(200, hold_json(extended))

        return self.idempotently("holds.extend", {"hold": str(hold_id)}, extend, required=False)


def find_hold(workspace: Workspace, hold_id: UUID, *, token: str | None = None) -> Any:
    """A hold of this workspace with its booking, its lines and `now`; others' ids are 404, and so
    is one whose token a stranger does not bring.
    """
    found = (
        holds_of(workspace, token)
        .filter(pk=hold_id)
        .select_related("booking", "change")
        .prefetch_related("booking__lines")
        .annotate(now=Func(function="clock_timestamp", output_field=DateTimeField()))
        .first()
    )
    if found is None:
        raise NotFound("There is no such hold here.")
    return found


def holds_of(workspace: Workspace, token: str | None) -> QuerySet[Hold]:
    """A workspace's holds for a secret key (None), the one of this token for anybody else."""
    rows = Hold.objects.filter(workspace=workspace)
    return rows if token is None else rows.filter(token=token)
