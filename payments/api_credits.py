"""A member's credit over HTTP: the ledger and its balance, and issuing."""

from hashlib import blake2b
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from config.api import ApiView, idempotency_key, money, rfc3339, rfc3339_or_none
from config.api_schemas import PAGING, MoneySchema, answers, idempotency_header, page_of
from config.pagination import paginated
from members.idempotency import Answer
from payments import credit_selectors
from payments.credits import MAX_MINOR, balance, issue
from payments.models import CreditEntry

_NEWEST_FIRST = ["-created_at", "-id"]


class CreditRequestSchema(serializers.Serializer):
    amount_minor = serializers.IntegerField(min_value=1, max_value=MAX_MINOR)
    reason = serializers.CharField(max_length=500, help_text="Kept with the entry.")
    expires_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="After the workspace's days of validity unless given.",
    )


class CreditEntrySchema(serializers.Serializer):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(CreditEntry.Kind.choices)
    amount = MoneySchema(help_text="Negative against the member.")
    reason = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    booking = serializers.UUIDField(allow_null=True)
    reverses = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class CreditIssuedSchema(CreditEntrySchema):
    balance = MoneySchema(help_text="What can be spent now.")


class CreditPageSchema(page_of(CreditEntrySchema, "CreditEntry")):  # type: ignore[misc]
    balance = MoneySchema(help_text="What can be spent now.")


class MemberCreditsView(ApiView):
    @extend_schema(
        operation_id="credits_list",
        tags=["credit"],
        parameters=PAGING,
        responses=answers({200: CreditPageSchema}),
    )
    def get(self, request: Request, member_id: UUID) -> Response:
        """A member's ledger in this workspace, newest first, and what they can spend."""
        member = credit_selectors.member_here(self.workspace, member_id)
        entries = credit_selectors.entries_of(self.workspace, member)
        page = paginated(request, entries, _NEWEST_FIRST, entry_json)
        page.data["balance"] = balance(workspace=self.workspace, member=member).as_json()
        return page

    @extend_schema(
        operation_id="credits_issue",
        tags=["credit"],
        request=CreditRequestSchema,
        parameters=[idempotency_header(required=True)],
        responses=answers({201: CreditIssuedSchema}, keyed=True),
    )
    def post(self, request: Request, member_id: UUID) -> Response:
        """Issue goodwill to a member who has a booking or credit here."""
        fields = self.body()
        amount_minor = fields.integer("amount_minor", 1, MAX_MINOR)
        if amount_minor is None:
            fields.refuse("amount_minor", "This is required.")
        reason = fields.text("reason", 500, required=True).strip()
        if not reason:
            fields.refuse("reason", "Say why: it is kept with the entry.")
        expires_at = fields.moment("expires_at") if fields.has("expires_at") else None
        fields.no_others()
        member = credit_selectors.member_here(self.workspace, member_id)

        def give() -> Answer:
            entry = issue(
                workspace=self.workspace,
                member=member,
                amount_minor=amount_minor,
                reason=reason,
                source="api",
                key=f"api:{self.key.pk}:{_digest(idempotency_key(request) or '')}",
                actor=self.actor,
                expires_at=expires_at,
            )
            left = balance(workspace=self.workspace, member=member).as_json()
            return Answer(201, entry_json(entry) | {"balance": left})

        asked = {"member": str(member_id), "body": request.data}
        return self.idempotently("credits.issue", asked, give)


def entry_json(entry: CreditEntry) -> dict[str, Any]:
    """An entry with its account and due at hand."""
    return {
        "id": str(entry.pk),
        "kind": entry.kind,
        "amount": money(entry.amount_minor, entry.account.currency),
        "reason": entry.reason,
        "source": entry.source,
        "booking": str(entry.due.booking_id) if entry.due else None,
        "reverses": str(entry.reverses_id) if entry.reverses_id else None,
        "created_at": rfc3339(entry.created_at),
        "expires_at": rfc3339_or_none(entry.expires_at),
    }


def _digest(key: str) -> str:
    return blake2b(key.encode(), digest_size=16).hexdigest()
