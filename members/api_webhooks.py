"""A workspace's own subscribers over HTTP: the endpoints, their secrets, what they were told."""

from typing import Any, cast
from uuid import UUID

from drf_spectacular.utils import extend_schema
from encrypted_fields.fields import EncryptedTextField
from rest_framework.request import Request
from rest_framework.response import Response

from config.api import ApiView, Fields, Query, rfc3339, rfc3339_or_none
from config.api_schemas import PAGING, answers, idempotency_header, page_of, query, several
from config.kernel.errors import InvalidInput, NotFound
from config.pagination import paginated
from members import api_schemas_webhooks as schemas
from members import webhook_endpoints, webhook_sending
from members.idempotency import Answer
from members.models import Workspace
from members.webhook_models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from members.webhook_states import DELETED, PENDING
from members.webhook_types import TEST, TYPES

NEWEST_FIRST = ["-created_at", "-id"]
_TAGS = ["webhooks"]
_MOST_URL, _MOST_WORDS = 1000, 200


class EndpointListView(ApiView):
    @extend_schema(
        operation_id="webhook_endpoints_list",
        tags=_TAGS,
        parameters=PAGING,
        responses=answers({200: page_of(schemas.EndpointSchema, "WebhookEndpoint")}),
    )
    def get(self, request: Request) -> Response:
        """The workspace's subscribers, newest first."""
        return paginated(request, _endpoints(self.workspace), NEWEST_FIRST, endpoint_json)

    @extend_schema(
        operation_id="webhook_endpoints_create",
        tags=_TAGS,
        request=schemas.EndpointRequestSchema,
        parameters=[idempotency_header(required=True)],
        responses=answers(
            {201: schemas.EndpointWithSecretSchema},
            keyed=True,
            raises=[webhook_endpoints.TooManyEndpoints],
        ),
        examples=[schemas.ASKED, schemas.SHOWN_WITH_SECRET],
    )
    def post(self, request: Request) -> Response:
        """A new subscriber. Its secret is in this answer, and in no other."""
        columns = _columns(self.body())
        if "url" not in columns:
            raise InvalidInput("This is required.", field="url")
        workspace = self.workspace

        def create() -> Answer:
            made = webhook_endpoints.create(workspace=workspace, **columns)
            return Answer(201, endpoint_json(made) | {"secret": _seal(made.secret)})

        return _opened(self.idempotently("webhook_endpoints.create", request.data, create))


class EndpointView(ApiView):
    @extend_schema(
        operation_id="webhook_endpoints_read",
        tags=_TAGS,
        responses=answers({200: schemas.EndpointSchema}),
        examples=[schemas.SHOWN],
    )
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """One subscriber, and whether it is told anything."""
        return Response(endpoint_json(_endpoint(self.workspace, endpoint_id)))

    @extend_schema(
        operation_id="webhook_endpoints_change",
        tags=_TAGS,
        request=schemas.EndpointChangeSchema,
        responses=answers({200: schemas.EndpointSchema}, [409, 413, 415]),
        examples=[schemas.CHANGED, schemas.SHOWN],
    )
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Another address, other types, or enabled and disabled. What is not given stays."""
        fields = self.body()
        enabled = fields.boolean("enabled")
        columns = _columns(fields)
        _endpoint(self.workspace, endpoint_id)
        if columns:
            webhook_endpoints.change(endpoint_id, **columns)
        if enabled is not None:
            move = webhook_endpoints.enable if enabled else webhook_endpoints.disable
            move(endpoint_id)
        return Response(endpoint_json(_endpoint(self.workspace, endpoint_id)))

    @extend_schema(
        operation_id="webhook_endpoints_delete", tags=_TAGS, responses=answers({204: None})
    )
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        """It is told nothing more, what is pending neither. One that is deleted is 404."""
        _endpoint(self.workspace, endpoint_id)
        webhook_endpoints.delete(endpoint_id)
        return Response(status=204)


class EndpointTestView(ApiView):
    @extend_schema(
        operation_id="webhook_endpoints_test",
        tags=_TAGS,
        request=None,
        parameters=[idempotency_header(required=False)],
        responses=answers(
            {201: schemas.DeliverySchema}, keyed=True, raises=[webhook_endpoints.EndpointDisabled]
        ),
        examples=[schemas.TOLD],
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Send a `test.ping`; its delivery shows the answer. It is tried once."""
        self.body().no_others()
        _endpoint(self.workspace, endpoint_id)

        def send() -> Answer:
            return Answer(201, delivery_json(webhook_endpoints.send_test(endpoint_id)))

        asked = {"endpoint": str(endpoint_id)}
        return self.idempotently("webhook_endpoints.test", asked, send, required=False)


class EndpointRotationView(ApiView):
    @extend_schema(
        operation_id="webhook_endpoints_rotate_secret",
        tags=_TAGS,
        request=schemas.RotationRequestSchema,
        parameters=[idempotency_header(required=True)],
        responses=answers({200: schemas.EndpointWithSecretSchema}, keyed=True),
        examples=[schemas.ROTATED, schemas.SHOWN_WITH_SECRET],
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """A new secret, in this answer only. For a while the former one signs as well."""
        fields = self.body()
        overlap_seconds = fields.integer(
            "overlap_seconds",
            0,
            webhook_endpoints.LONGEST_OVERLAP_SECONDS,
            webhook_endpoints.OVERLAP_SECONDS,
        )
        fields.no_others()
        _endpoint(self.workspace, endpoint_id)

        def rotate() -> Answer:
            rotated = webhook_endpoints.rotate(endpoint_id, overlap_seconds=overlap_seconds)
            return Answer(200, endpoint_json(rotated) | {"secret": _seal(rotated.secret)})

        asked = {"endpoint": str(endpoint_id), "body": request.data}
        return _opened(self.idempotently("webhook_endpoints.rotate_secret", asked, rotate))


class DeliveryListView(ApiView):
    @extend_schema(
        operation_id="webhook_deliveries_list",
        tags=_TAGS,
        parameters=[
            several("state", [state for state, _ in schemas.DELIVERY_STATE], "In these states."),
            several("type", [*TYPES, TEST], "Of these types."),
            query("booking", UUID, "What it is about."),
            *PAGING,
        ],
        responses=answers({200: page_of(schemas.DeliverySchema, "WebhookDelivery")}),
    )
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """What it was told or is to be told, newest first, for as long as that is kept."""
        asked = Query(request)
        rows = _endpoint(self.workspace, endpoint_id).deliveries.select_related("message")
        if states := asked.texts("state", [state for state, _ in schemas.DELIVERY_STATE]):
            rows = rows.filter(state__in=states)
        if kinds := asked.texts("type", [*TYPES, TEST]):
            rows = rows.filter(message__type__in=kinds)
        if booking := asked.uuid("booking"):
            rows = rows.filter(about=str(booking))
        return paginated(request, rows, NEWEST_FIRST, delivery_json)


class DeliveryView(ApiView):
    @extend_schema(
        operation_id="webhook_deliveries_read",
        tags=_TAGS,
        responses=answers({200: schemas.DeliveryWithAttemptsSchema}),
    )
    def get(self, request: Request, endpoint_id: UUID, delivery_id: UUID) -> Response:
        """One delivery with every request and answer."""
        row = _delivery(self.workspace, endpoint_id, delivery_id)
        attempts = [attempt_json(attempt) for attempt in row.attempts.all()]
        body = webhook_sending.told(row.message)
        return Response(delivery_json(row) | {"body": body, "attempts": attempts})


class DeliveryReplayView(ApiView):
    @extend_schema(
        operation_id="webhook_deliveries_replay",
        tags=_TAGS,
        request=None,
        parameters=[idempotency_header(required=False)],
        responses=answers(
            {200: schemas.DeliverySchema}, keyed=True, raises=[webhook_endpoints.EndpointDisabled]
        ),
        examples=[schemas.TOLD],
    )
    def post(self, request: Request, endpoint_id: UUID, delivery_id: UUID) -> Response:
        """Send it again, with the same id. One that is pending is due at once."""
        self.body().no_others()
        row = _delivery(self.workspace, endpoint_id, delivery_id)

        def again() -> Answer:
            webhook_endpoints.replay(row)
            return Answer(200, delivery_json(_delivery(self.workspace, endpoint_id, delivery_id)))

        asked = {"delivery": str(delivery_id)}
        return self.idempotently("webhook_deliveries.replay", asked, again, required=False)


# --- Reading and finding ------------------------------------------------------------------------


def _columns(fields: Fields) -> dict[str, Any]:
    """What a body says of an endpoint; the address is looked at here, outside any transaction."""
    columns: dict[str, Any] = {}
    if fields.has("description"):
        columns["description"] = fields.text("description", _MOST_WORDS)
    if fields.has("events"):
        columns["events"] = webhook_endpoints.checked_events(
            fields.texts("events", len(TYPES), most_characters=40)
        )
    url = fields.text("url", _MOST_URL) if fields.has("url") else None
    fields.no_others()
    if url is not None:
        columns["url"] = webhook_endpoints.checked_url(url)
    return columns


def _endpoints(workspace: Workspace) -> Any:
    return WebhookEndpoint.objects.filter(workspace=workspace).exclude(state=DELETED)


def _endpoint(workspace: Workspace, endpoint_id: UUID) -> WebhookEndpoint:
    found = _endpoints(workspace).filter(pk=endpoint_id).first()
    if found is None:
        raise NotFound("There is no such endpoint here.")
    return cast(WebhookEndpoint, found)


def _delivery(workspace: Workspace, endpoint_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    rows = WebhookDelivery.objects.select_related("message")
    found = rows.filter(
        pk=delivery_id, endpoint=endpoint_id, endpoint__workspace=workspace
    ).exclude(endpoint__state=DELETED)
    row = found.first()
    if row is None:
        raise NotFound("There is no such delivery here.")
    return row


# --- Shown --------------------------------------------------------------------------------------


def endpoint_json(row: WebhookEndpoint) -> dict[str, Any]:
    """A subscriber without its secret."""
    return {
        "id": str(row.pk),
        "url": row.url,
        "description": row.description,
        "events": list(row.events),
        "state": row.state,
        "state_since": rfc3339(row.state_since),
        "disabled_because": row.disabled_because or None,
        "failing_since": rfc3339_or_none(row.failing_since),
        "former_secret_until": rfc3339_or_none(row.former_secret_until),
        "created_at": rfc3339(row.created_at),
    }


def delivery_json(row: WebhookDelivery) -> dict[str, Any]:
    is_pending = row.state == PENDING
    return {
        "id": str(row.pk),
        "endpoint": str(row.endpoint_id),
        "event": str(row.message.event_id),
        "sequence": row.message.sequence,
        "type": row.message.type,
        "booking": row.about or None,
        "state": row.state,
        "tries": row.tries,
        "created_at": rfc3339(row.created_at),
        "next_try_at": rfc3339(row.due_at) if is_pending else None,
        "ended_at": rfc3339_or_none(row.ended_at),
    }


def attempt_json(row: WebhookAttempt) -> dict[str, Any]:
    return {
        "number": row.number,
        "url": row.url,
        "began_at": rfc3339(row.began_at),
        "ended_at": rfc3339_or_none(row.ended_at),
        "duration_ms": row.duration_ms,
        "request_headers": row.request_headers,
        "status": row.status,
        "response_headers": row.response_headers,
        "response_body": row.response_body,
        "error": row.error,
    }


# --- Secrets in answers -------------------------------------------------------------------------


_sealing = EncryptedTextField()


def _seal(secret: str) -> str:
    """As it is kept with the answer for repeats: encrypted, like on the endpoint's own row."""
    return str(_sealing.get_prep_value(secret))


def _opened(response: Response) -> Response:
    """The answer as the caller gets it, new or repeated."""
    if sealed := (response.data or {}).get("secret"):
        response.data["secret"] = _sealing.to_python(sealed)
    return response
