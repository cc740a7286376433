"""Who calls the API: a secret key of one workspace, in `Authorization: Bearer sk_…`."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from config.kernel.context import Actor
from config.kernel.errors import DomainError
from members import api_keys
from members.models import ApiKey

_MAX_SECRET_LENGTH = 200


class InsufficientScope(DomainError):
    code = "insufficient_scope"
    status = 403
    detail = "This key may only read. Use one with the scope “write”."


class ApiKeyAuthentication(BaseAuthentication):
    """One query: the key by its digest, with its workspace. `request.auth` is the ApiKey."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        """The key of the request, None when it carries none; 401 when it is not a live key."""
        scheme, _, secret = get_authorization_header(request).strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        key = _find(secret.strip())
        if key is None:
            raise AuthenticationFailed("This API key is not known, or it has been revoked.")
        return None, key

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for (RFC 6750)."""
        return 'Bearer realm="surehold"'


class HasScope(BasePermission):
    """A live key; to change anything, one of the scope write."""

    def has_permission(self, request: Request, view: Any) -> bool:
        key = request.auth
        if not isinstance(key, ApiKey):
            return False
        changes = request.method not in SAFE_METHODS and not getattr(view, "only_reads", False)
        if changes and key.scope != ApiKey.Scope.WRITE:
            raise InsufficientScope
        return True


def actor_of(key: ApiKey) -> Actor:
    """The key as history knows it."""
    return Actor("api_key", id=str(key.id), label=key.name)


def _find(secret: bytes) -> ApiKey | None:
    """The live key with this secret; whatever cannot be one costs no query."""
    if not secret or len(secret) > _MAX_SECRET_LENGTH or not secret.isascii():
        return None
    return api_keys.find(secret.decode("ascii"))


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """The same, for the OpenAPI description."""

    target_class = ApiKeyAuthentication
    name = "secretKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "sk_…",
            "description": "A secret key of one workspace. Keys are made in the admin.",
        }
