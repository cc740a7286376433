"""Keys of a workspace, revocable: secret ones are shown once and kept as a hash."""

import hashlib
import secrets
from collections.abc import Iterable
from functools import lru_cache

from django.db import connection
from django.db.models import Model

from config.kernel import clock
from members.models import ApiKey, Workspace
from members.origins import origins_of

_HINT = 10


def create(
    *,
    workspace: Workspace,
    name: str,
    scope: str = ApiKey.Scope.WRITE,
    secret: str = "",
    requests_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, `sk_…`, which is not kept. `secret` fixes it (the demo's does).

    `requests_per_minute`: None for the default, `API_REQUESTS_PER_MINUTE`.
    """
    secret = secret or f"sk_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        workspace=workspace,
        name=name,
        scope=scope,
        hint=secret[:_HINT],
        digest=digest(secret),
        requests_per_minute=requests_per_minute,
    )
    return key, secret


def create_publishable(
    *, workspace: Workspace, name: str, origins: Iterable[str], scope: str = ApiKey.Scope.WRITE
) -> ApiKey:
    """A new key for web pages of these origins, `pk_…`, which can be shown again.

    Raises ValueError for what is not an origin.
    """
    shown = f"pk_{secrets.token_urlsafe(24)}"
    return ApiKey.objects.create(
        workspace=workspace,
        name=name,
        scope=scope,
        kind=ApiKey.Kind.PUBLISHABLE,
        origins=origins_of(origins),
        shown=shown,
        hint=shown[:_HINT],
        digest=digest(shown),
    )


def find(secret: str) -> ApiKey | None:
    """The live key with this secret, and its workspace; one query.

    Written by hand, since it is on the path of every call: putting the same statement together
    anew costs as much as asking the database.
    """
    with connection.cursor() as cursor:
        cursor.execute(_find_statement(), [digest(secret)])
        row = cursor.fetchone()
    if row is None:
        return None
    names, workspace_names = _columns(ApiKey), _columns(Workspace)
    key = ApiKey.from_db(connection.alias, names, row[: len(names)])
    key.workspace = Workspace.from_db(connection.alias, workspace_names, row[len(names) :])
    return key


@lru_cache(maxsize=1)
def _find_statement() -> str:
    of_key = ", ".join(f"k.{name}" for name in _columns(ApiKey))
    of_workspace = ", ".join(f"w.{name}" for name in _columns(Workspace))
    return (
        f"SELECT {of_key}, {of_workspace} FROM members_apikey k"  # noqa: S608
        " JOIN members_workspace w ON w.id = k.workspace_id"
        " WHERE k.digest = %s AND k.revoked_at IS NULL"
    )


@lru_cache(maxsize=2)
def _columns(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def revoke(api_key: ApiKey) -> None:
    """It is refused from now on. Revoking twice changes nothing."""
    ApiKey.objects.filter(pk=api_key.pk, revoked_at=None).update(revoked_at=clock.now())


def digest(secret: str) -> str:
    """SHA-256 is enough: the secret is random, not chosen by a person."""
    return hashlib.sha256(secret.encode()).hexdigest()
