"""A caller of the API: one secret key, JSON in and out, a fresh idempotency key for each POST."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.http import HttpResponse
from django.test import Client

from bookings.models import Resource
from config.api import rfc3339
from tests.api import conformance
from tests.factories import at

ROOT = "/api/v1"


@dataclass
class Api:
    secret: str = ""
    http: Client = field(default_factory=lambda: Client(raise_request_exception=True))

    def get(self, path: str, **query: Any) -> HttpResponse:
        response = self.http.get(f"{ROOT}{path}", query, headers=self._headers())
        return self._checked("get", path, response)

    def delete(self, path: str) -> HttpResponse:
        response = self.http.delete(f"{ROOT}{path}", headers=self._headers())
        return self._checked("delete", path, response)

    def patch(self, path: str, body: Any = None) -> HttpResponse:
        sent, kind = json.dumps(body or {}), "application/json"
        headers = self._headers()
        response = self.http.patch(f"{ROOT}{path}", sent, content_type=kind, headers=headers)
        return self._checked("patch", path, response, sent)

    def post(
        self, path: str, body: Any = None, *, key: str | None = "", match: str | None = None
    ) -> HttpResponse:
        """POST as JSON, If-Match `match`; `key=None` sends no Idempotency-Key, "" a fresh one."""
        sent = "" if body is None else json.dumps(body)
        return self.raw(path, sent, key=key, match=match)

    def raw(
        self,
        path: str,
        body: str | bytes,
        *,
        key: str | None = "",
        kind: str = "application/json",
        match: str | None = None,
    ) -> HttpResponse:
        """POST exactly these bytes."""
        headers = self._headers()
        if match is not None:
            headers["If-Match"] = match
        if key is not None:
            headers["Idempotency-Key"] = key or str(uuid4())
        response = self.http.post(f"{ROOT}{path}", body, content_type=kind, headers=headers)
        return self._checked("post", path, response, body)

    def hold(self, resource: Resource, hour: float = 10, hours: float = 1, **more: Any) -> Any:
        """Place a hold that is expected to succeed; its answer's body."""
        response = self.post("/holds", claim(resource, hour, hours, **more))
        assert response.status_code == 201, response.content
        return response.json()

    def _checked(
        self, method: str, path: str, response: HttpResponse, sent: str | bytes = ""
    ) -> HttpResponse:
        """Whatever is answered is as described."""
        conformance.check(method, f"{ROOT}{path}", response, sent)
        return response

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"} if self.secret else {}


def line(resource: Resource | UUID | str, hour: float = 10, hours: float = 1, **more: Any) -> Any:
    """One line of a claim, a week from now."""
    resource_id = resource.id if isinstance(resource, Resource) else resource
    window = {"start": rfc3339(at(hour)), "end": rfc3339(at(hour + hours))}
    return {"resource": str(resource_id)} | window | more


def claim(resource: Resource, hour: float = 10, hours: float = 1, **more: Any) -> dict[str, Any]:
    """The body of a POST /holds with one line."""
    return {"lines": [line(resource, hour, hours)]} | more


def problem(response: HttpResponse, status: int, code: str) -> Any:
    """Assert that the answer is this problem, in the right form; its body."""
    assert response.status_code == status, (response.status_code, response.content[:500])
    assert response["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    assert (body["status"], body["code"]) == (status, code), body
    assert body["type"] == f"urn:surehold:{code}"
    assert body["title"]
    assert body["detail"]
    return body
