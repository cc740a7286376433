"""The floor: a bare Django view that does one INSERT, under the same server and pool."""

import os
import uuid

from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


@csrf_exempt
def insert(request: HttpRequest) -> JsonResponse:
    """One row, one commit."""
    key = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bare_floor (id, at) VALUES (%s, clock_timestamp())", [key])
    response = JsonResponse({"id": str(key)}, status=201)
    response["Content-Length"] = str(len(response.content))
    return response


urlpatterns = [path("healthz", health), path("insert", insert)]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.bare_settings")
application = get_wsgi_application()
