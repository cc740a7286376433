"""While the database is gone the catalogue and availability are answered from memory, as stale.

What the API answered last to the same key for the same address is kept in Redis for an hour. It is
looked at only when the answer would be that a part is down; `stale` says so in the body, and `Age`
how many seconds old it is. Holding and everything else that writes answers 503 as before.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from config.kernel.redis import ask

KEPT_SECONDS = 3600
_REMEMBERED = re.compile(r"/api/v1/resources(/[0-9a-f-]{36}(/availability)?)?/?")
_MOST_BYTES = 512 * 1024


class LastAnswerMiddleware:
    """Keeps answers about resources, and gives the last one when there can be none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.method != "GET" or not _REMEMBERED.fullmatch(request.path):
            return response
        if response.status_code == 200 and len(response.content) <= _MOST_BYTES:
            _keep(_key(request), response.content)
        if response.status_code == 503:
            return _last(_key(request)) or response
        return response


def _key(request: HttpRequest) -> str:
    """One key's question, from one origin; the secret itself is not kept."""
    who = f"{request.headers.get('Authorization', '')} {request.headers.get('Origin', '')}"
    asked = f"{who} {request.get_full_path()}"
    return f"last:{hashlib.sha256(asked.encode()).hexdigest()}"


def _keep(key: str, content: bytes) -> None:
    value = f"{time.time():.0f} ".encode() + content
    ask(lambda client: client.set(key, value, ex=KEPT_SECONDS), None)


def _last(key: str) -> HttpResponse | None:
    value: Any = ask(lambda client: client.get(key), None)
    if not value:
        return None
    at, _, content = value.partition(b" ")
    response = JsonResponse(json.loads(content) | {"stale": True})
    response["Age"] = str(max(0, round(time.time() - float(at))))
    return response
