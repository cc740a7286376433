"""A bare view within the product's Django, its middleware around it, that writes one row."""

import uuid

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from members.models import IdempotencyKey


def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@csrf_exempt
def insert(request: HttpRequest) -> JsonResponse:
    """One row by the ORM, one commit."""
    row = IdempotencyKey.objects.create(scope="floor", operation="insert", key=str(uuid.uuid4()))
    response = JsonResponse({"id": str(row.pk)}, status=201)
    response["Content-Length"] = str(len(response.content))
    return response


urlpatterns = [path("healthz", health), path("insert", insert)]
