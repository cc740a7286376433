"""Lists: newest first, filtered, in pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .core import Context
from .errors import missing
from .objects import listing
from .store import Obj

_BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def page(context: Context, kind: str, url: str, filters: Mapping[str, Any]) -> Obj:
    """One page of the account's objects of ``kind``; ``filters`` are SQL conditions and values."""
    params = context.params
    where, values = ["kind = ?", "account = ?"], [kind, context.account]
    for condition, value in filters.items():
        if value is not None:
            where.append(condition)
            values += value if isinstance(value, list) else [value]
    for bound, moment in params.get("created", {}).items():
        where.append(f"created {_BOUNDS[bound]} ?")
        values.append(moment)
    return _cut(context, kind, url, where, values)


def _cut(context: Context, kind: str, url: str, where: list[str], values: list[Any]) -> Obj:
    params = context.params
    limit, backwards = params.get("limit", 10), bool(params.get("ending_before"))
    for name, sign in (("starting_after", "<"), ("ending_before", ">")):
        if params.get(name):
            where.append(f"seq {sign} ?")
            values.append(_place(context, kind, params[name], name))
    direction = "ASC" if backwards else "DESC"
    found = context.store.select(
        " AND ".join(where), *values, limit + 1, tail=f"ORDER BY seq {direction} LIMIT ?"
    )
    kept = found[:limit]
    return listing(url, kept[::-1] if backwards else kept, has_more=len(found) > limit)


def _place(context: Context, kind: str, object_id: str, param: str) -> int:
    seq = context.store.seq(object_id, kind, context.account)
    if seq is None:
        raise missing(kind, object_id, param=param, status=400)
    return seq
