"""Writing the rows of one happening in one statement.

Round trips are what a claim costs (design.md §9). A transition and its effects write rows of
several tables; `insert` sends them together, as data-modifying CTEs, instead of one by one.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault

from config.kernel import effects

# A row's shape: for each column the SQL that stands there, or None where a parameter does. What
# is the same in most rows stands in the statement, so that psycopg can keep its parsed form (which
# it does up to fifty parameters).
_Row = tuple[str | None, ...]
_Shape = tuple[tuple[type[models.Model], tuple[_Row, ...]], ...]
_PLAIN = (uuid.UUID, str, int, datetime)


def insert(rows: Iterable[models.Model]) -> None:
    """Insert unsaved instances of any models in one statement, then kick what they ask for.

    Keys are made in Python (UUIDs) or by the database; what the database fills in is not read
    back. The constraints and triggers of every table decide as for any other INSERT.
    """
    grouped: dict[type[models.Model], list[models.Model]] = {}
    for row in rows:
        grouped.setdefault(type(row), []).append(row)
    if not grouped:
        return
    values = {model: [_values(row) for row in group] for model, group in grouped.items()}
    shape: _Shape = tuple(
        (model, tuple(tuple(_constant(v) for v in row) for row in group))
        for model, group in values.items()
    )
    flat = [v for group in values.values() for row in group for v in row if _constant(v) is None]
    with connection.cursor() as cursor:
        cursor.execute(_statement(shape), flat)
    for group in grouped.values():
        for row in group:
            row._state.adding = False
            row._state.db = connection.alias
            effects.kick_for(row)


def _values(row: models.Model) -> list[Any]:
    return [_value(field, row) for field in _fields(type(row))]


def _value(field: models.Field, row: models.Model) -> Any:
    value = field.pre_save(row, add=True)
    if value is None or isinstance(value, DatabaseDefault):
        return value
    if type(value) in _PLAIN and not isinstance(field, models.JSONField):
        return value
    return field.get_db_prep_save(value, connection)


def _constant(value: Any) -> str | None:
    if value is None:
        return "NULL"
    if isinstance(value, DatabaseDefault):
        return "DEFAULT"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int) and not value:
        return "''" if isinstance(value, str) else "0"
    return None


@lru_cache(maxsize=64)
def _fields(model: type[models.Model]) -> Sequence[models.Field]:
    return [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]


@lru_cache(maxsize=256)
def _statement(shape: _Shape) -> str:
    *firsts, last = [_insert(model, rows) for model, rows in shape]
    if not firsts:
        return last
    named = ", ".join(f"part{i} AS ({sql})" for i, sql in enumerate(firsts))
    return f"WITH {named} {last}"


def _insert(model: type[models.Model], rows: tuple[_Row, ...]) -> str:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in _fields(model))
    groups = ", ".join(f"({', '.join(constant or '%s' for constant in row)})" for row in rows)
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES {groups}"  # noqa: S608
