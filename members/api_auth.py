"""Who calls the API: a workspace's key, in `Authorization: Bearer sk_…` (`pk_…` from pages)."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from config.kernel.context import Actor
from config.kernel.errors import DomainError
from members import api_keys, publishable, visitor_rates
from members.models import ApiKey
from members.pages import address_of

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
    """A live key; to change anything, one of the scope write. A publishable one only what a view
    opens to it, from a page of its origins, and not too often from one address.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        key = request.auth
        if not isinstance(key, ApiKey):
            return False
        if publishable.is_publishable(key):
            publishable.admit(key, request, getattr(view, "publishable", ()))
            only_reads = getattr(view, "only_reads", False)
            address = address_of(request._request)
            visitor_rates.refuse_too_many(address, request.method, only_reads=only_reads)
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
    """The same, for the OpenAPI description: which kinds of keys an operation takes."""

    target_class = ApiKeyAuthentication
    name = ["secretKey", "publishableKey"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        opened = auto_schema.method in getattr(auto_schema.view, "publishable", ())
        return [{name: []} for name in self.name[: 2 if opened else 1]]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        bearer = {"type": "http", "scheme": "bearer"}
        return [
            bearer
            | {
                "bearerFormat": "sk_…",
                "description": "A secret key of one workspace. Keys are made in the admin.",
            },
            bearer
            | {
                "bearerFormat": "pk_…",
                "description": "A publishable key, for web pages: the `Origin` must be one of the "
                "key's, a hold is reached with its token in `Hold-Token`, and only what is public "
                "is there. See docs/javascript.md.",
            },
        ]
