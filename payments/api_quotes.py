"""What lines would cost, over HTTP."""

from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from bookings.discounts import DISCOUNT_ERRORS, LONGEST_CODE
from bookings.errors import NOT_ALLOWED
from bookings.shown_prices import discount_json, parts_json, tax_json
from bookings.taxes import taxes_of
from config.api import ApiView, rfc3339
from config.api_schemas import answers
from config.kernel import clock
from holds.quoting import Quoted, quoted
from holds.subjects import LineRequest
from payments.api import MAX_LINES, read_line, read_member
from payments.api_schemas import QuoteRequestSchema, QuoteSchema


class QuoteListView(ApiView):
    only_reads = True
    publishable = frozenset({"POST"})

    @extend_schema(
        operation_id="quotes_create",
        tags=["holds"],
        request=QuoteRequestSchema,
        responses=answers({200: QuoteSchema}, [413, 415], raises=[*NOT_ALLOWED, *DISCOUNT_ERRORS]),
    )
    def post(self, request: Request) -> Response:
        """The price of lines, without holding them: a hold decides, and freezes its own."""
        fields = self.body()
        lines = [read_line(line) for line in fields.objects("lines", MAX_LINES)]
        who = read_member(fields.object("member"))
        if self.is_public:
            who = replace(who, limited=True, vouched_for="")
        code = fields.text("discount_code", LONGEST_CODE).strip()
        fields.no_others()
        found = quoted(
            workspace=self.workspace,
            lines=lines,
            claimant=who,
            now=clock.now(),
            discount_code=code,
        )
        return Response(_quoted_json(lines, found))


def _quoted_json(lines: list[LineRequest], found: Quoted) -> dict[str, Any]:
    currency, by = found.total.currency, found.reduction
    parts = [each.parts for each in found.quotes]
    return {
        "lines": [_line_json(index, line, found) for index, line in enumerate(lines)],
        "total": found.total.as_json(),
        "discount": discount_json(by.code if by else None, parts, currency),
        "taxes": [tax_json(tax, currency) for tax in taxes_of(parts)],
    }


def _line_json(index: int, line: LineRequest, found: Quoted) -> dict[str, Any]:
    mine = [
        (part, priced)
        for part, priced in zip(found.parts, found.quotes, strict=True)
        if part.line == index
    ]
    (_, main), *add_ons = mine
    return {
        "resource": str(line.resource_id),
        "start": rfc3339(line.start),
        "end": rfc3339(line.end),
        "quantity": line.quantity,
        "amount": main.total.as_json(),
        "parts": parts_json(main.parts, main.total.currency),
        "add_ons": [
            {
                "resource": str(part.resource_id),
                "quantity": part.quantity,
                "amount": priced.total.as_json(),
            }
            for part, priced in add_ons
        ],
    }
