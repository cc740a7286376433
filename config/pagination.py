"""Lists in pages by cursor: stable while rows come and go, and one query whatever the page."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from config.api import Query
from config.kernel.errors import InvalidInput

M = TypeVar("M", bound=Model)

DEFAULT_SIZE = 50
MAX_SIZE = 200
_FORWARD, _BACKWARD = "n", "p"


def paginated(
    request: Request,
    rows: QuerySet[M],
    order: Sequence[str],
    render: Callable[[M], dict[str, Any]],
) -> Response:
    """One page of `rows` in `order` (as of order_by; the last field must be unique).

    `page_size` is 1 to 200; `cursor` is what an earlier page's `next` or `previous` carried.
    """
    size = Query(request).integer("page_size", 1, MAX_SIZE, DEFAULT_SIZE)
    direction, position = _decoded(request.query_params.get("cursor"), len(order))
    page, more = _page(rows, order, direction, position, size)
    before = bool(page) and (more if direction == _BACKWARD else position is not None)
    after = bool(page) and (True if direction == _BACKWARD else more)
    return Response(
        {
            "next": _link(request, _FORWARD, page[-1], order) if after else None,
            "previous": _link(request, _BACKWARD, page[0], order) if before else None,
            "results": [render(row) for row in page],
        }
    )


def _page(
    rows: QuerySet[M], order: Sequence[str], direction: str, position: list[Any] | None, size: int
) -> tuple[list[M], bool]:
    if direction == _BACKWARD:
        order = [name[1:] if name.startswith("-") else f"-{name}" for name in order]
    try:
        if position is not None:
            rows = rows.filter(_beyond(order, position))
        found = list(rows.order_by(*order)[: size + 1])
    except (ValidationError, ValueError, TypeError, OverflowError):
        raise _invalid() from None
    page = found[:size]
    return (page[::-1] if direction == _BACKWARD else page), len(found) > size


def _beyond(order: Sequence[str], position: list[Any]) -> Q:
    """Rows after the position: (a, b) > (x, y), written out, with a bound the index can use."""
    condition, equal = Q(), Q()
    for name, value in zip(order, position, strict=True):
        field, operator = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        condition |= equal & Q(**{f"{field}__{operator}": value})
        equal &= Q(**{field: value})
    first = order[0]
    bound = (first[1:], "lte") if first.startswith("-") else (first, "gte")
    return Q(**{f"{bound[0]}__{bound[1]}": position[0]}) & condition


def _link(request: Request, direction: str, row: Model, order: Sequence[str]) -> str:
    values = [_plain(getattr(row, name.lstrip("-"))) for name in order]
    cursor = base64.urlsafe_b64encode(json.dumps([direction, *values]).encode()).decode()
    url = remove_query_param(request.build_absolute_uri(), "cursor")
    return replace_query_param(url, "cursor", cursor.rstrip("="))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _decoded(cursor: str | None, length: int) -> tuple[str, list[Any] | None]:
    if not cursor:
        return _FORWARD, None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        direction, *position = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _invalid() from None
    simple = all(isinstance(value, str | int) and "\0" not in str(value) for value in position)
    if direction not in (_FORWARD, _BACKWARD) or len(position) != length or not simple:
        raise _invalid()
    return direction, position


def _invalid() -> InvalidInput:
    return InvalidInput("This cursor is not one of ours. Begin without it.", field="cursor")
