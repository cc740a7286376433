"""`/healthz` says that the process lives, `/readyz` whether it should get requests.

Only the database decides (design.md §7): without Redis, Stripe or mail the product still works,
slower or in part, and says so in `degraded`.
"""

import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

OK, UNREACHABLE, MIGRATIONS_MISSING = "ok", "unreachable", "migrations missing"
# A load balancer asks often; what stands behind us is asked at most this often by each process.
REMEMBER_SECONDS = 5.0
REACH_SECONDS = 1.0

_remembered: dict[str, tuple[float, str]] = {}
_migrated = False


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served, 503 when not, with the state of each dependency."""
    found = {"database": _database(), **{name: _recent(name) for name in _OTHERS}}
    degraded = [name for name in _OTHERS if found[name] != OK]
    ready = found["database"] == OK
    status = "unavailable" if not ready else "degraded" if degraded else "ready"
    body = {"status": status, "dependencies": found, "degraded": degraded}
    return JsonResponse(body, status=200 if ready else 503)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return OK if _all_migrated() else MIGRATIONS_MISSING
    except Error:
        return UNREACHABLE


def _all_migrated() -> bool:
    """Whether no migration is missing; once true, it stays so for this process."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _recent(name: str) -> str:
    checked_at, answer = _remembered.get(name, (-REMEMBER_SECONDS, ""))
    now = time.monotonic()
    if now - checked_at >= REMEMBER_SECONDS:
        answer = OK if _OTHERS[name]() else UNREACHABLE
        _remembered[name] = (now, answer)
    return answer


def _redis() -> bool:
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REACH_SECONDS,
        socket_connect_timeout=REACH_SECONDS,
        retry=None,
    )
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()


def _stripe() -> bool:
    address = urlsplit(settings.STRIPE_HOST)
    default = 443 if address.scheme == "https" else 80
    return _reachable(address.hostname or "", address.port or default)


def _mail() -> bool:
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return True
    return _reachable(settings.EMAIL_HOST, settings.EMAIL_PORT)


def _reachable(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=REACH_SECONDS):
            return True
    except OSError:
        return False


_OTHERS: dict[str, Callable[[], bool]] = {"redis": _redis, "stripe": _stripe, "mail": _mail}
