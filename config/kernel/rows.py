"""Writing the rows of one happening in one statement.

Round trips are what a claim costs (design.md §9). A transition and its effects write rows of
several tables; `insert` sends them together, as data-modifying CTEs, instead of one by one.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault

from config.kernel import effects

_Shape = tuple[tuple[type[models.Model], tuple[tuple[bool, ...], ...]], ...]


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
        (model, tuple(tuple(_is_default(v) for v in row) for row in group))
        for model, group in values.items()
    )
    flat = [v for group in values.values() for row in group for v in row if not _is_default(v)]
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
    return value if _is_default(value) else field.get_db_prep_save(value, connection)


def _is_default(value: Any) -> bool:
    return isinstance(value, DatabaseDefault)


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


def _insert(model: type[models.Model], rows: tuple[tuple[bool, ...], ...]) -> str:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in _fields(model))
    groups = ", ".join(
        "(" + ", ".join("DEFAULT" if default else "%s" for default in row) + ")" for row in rows
    )
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES {groups}"  # noqa: S608
