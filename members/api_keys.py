"""Secret keys of a workspace: shown once, kept as a hash, revocable."""

import hashlib
import secrets

from config.kernel import clock
from members.models import ApiKey, Workspace

_HINT = 10


def create(
    *, workspace: Workspace, name: str, scope: str = ApiKey.Scope.WRITE, secret: str = ""
) -> tuple[ApiKey, str]:
    """A new key and its secret, `sk_…`, which is not kept. `secret` fixes it (the demo's does)."""
    secret = secret or f"sk_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        workspace=workspace, name=name, scope=scope, hint=secret[:_HINT], digest=digest(secret)
    )
    return key, secret


def find(secret: str) -> ApiKey | None:
    """The live key with this secret, and its workspace; one query."""
    return (
        ApiKey.objects.select_related("workspace")
        .filter(digest=digest(secret), revoked_at=None)
        .first()
    )


def revoke(api_key: ApiKey) -> None:
    """It is refused from now on. Revoking twice changes nothing."""
    ApiKey.objects.filter(pk=api_key.pk, revoked_at=None).update(revoked_at=clock.now())


def digest(secret: str) -> str:
    """SHA-256 is enough: the secret is random, not chosen by a person."""
    return hashlib.sha256(secret.encode()).hexdigest()
