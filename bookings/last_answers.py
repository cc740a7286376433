"""While the database is gone the catalogue and availability are answered from memory, as stale.

What the API answered last to the same key for the same address is kept in Redis for an hour. It is
looked at only when the answer would be that a part is down; `stale` says so in the body, and `Age`
how many seconds old it is. Holding and everything else that writes answers 503 as before.

A publishable key is everybody's, and can be asked for any window there is: what is kept for one has
so many places and no more, and a newer answer takes an older one's.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from config.kernel.redis import ask

KEPT_SECONDS = 3600
_REMEMBERED = re.compile(r"/api/v1/resources(/[0-9a-f-]{36}(/availability)?)?/?")
_MOST_BYTES = 512 * 1024
# For a publishable key: 32 MB in all.
_PLACES, _MOST_BYTES_OF_STRANGERS = 256, 128 * 1024


class LastAnswerMiddleware:
    """Keeps answers about resources, and gives the last one when there can be none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.method != "GET" or not _REMEMBERED.fullmatch(request.path):
            return response
        question = _Question.of(request)
        if response.status_code == 200 and len(response.content) <= question.most_bytes:
            _keep(question, response.content)
        if response.status_code == 503:
            return _last(question) or response
        return response


@dataclass(frozen=True, slots=True)
class _Question:
    """What one key asks from one origin, and where its answer is kept; not the secret itself."""

    digest: str
    place: str
    most_bytes: int

    @classmethod
    def of(cls, request: HttpRequest) -> "_Question":
        secret = request.headers.get("Authorization", "").partition(" ")[2].strip()
        asked = f"{secret} {request.headers.get('Origin', '')} {request.get_full_path()}"
        digest = hashlib.sha256(asked.encode()).hexdigest()
        if not secret.startswith("pk_"):
            return cls(digest, f"last:{digest}", _MOST_BYTES)
        owner = hashlib.sha256(secret.encode()).hexdigest()
        place = f"last:{owner}:{int(digest[:8], 16) % _PLACES}"
        return cls(digest, place, _MOST_BYTES_OF_STRANGERS)


def _keep(question: _Question, content: bytes) -> None:
    value = f"{time.time():.0f} {question.digest} ".encode() + content
    ask(lambda client: client.set(question.place, value, ex=KEPT_SECONDS), None)


def _last(question: _Question) -> HttpResponse | None:
    value: Any = ask(lambda client: client.get(question.place), None)
    if not value:
        return None
    at, digest, content = value.split(b" ", 2)
    if digest.decode() != question.digest:
        return None
    response = JsonResponse(json.loads(content) | {"stale": True})
    response["Age"] = str(max(0, round(time.time() - float(at))))
    return response
