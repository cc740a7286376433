"""Bodies without a length: sent in chunks (HTTP/1.1) or as a stream (HTTP/2).

Django takes a request without Content-Length for one without a body. A program that cancels with
`{"refund": "none"}` in chunks would be answered as if it had sent nothing: refunded by the policy.
Here such a body is read, to what the API reads at most, and given its length.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any

MAX_BODY_BYTES = 256 * 1024
_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def sized(application: Application) -> Application:
    """The WSGI application, which is told the length of every body under /api/.

    Only where the server says that it marks a body's end (`wsgi.input_terminated`): granian does.
    """

    def with_lengths(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _is_unsized(environ):
            body = environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return application(environ, start_response)

    return with_lengths


def _is_unsized(environ: dict[str, Any]) -> bool:
    return (
        not environ.get("CONTENT_LENGTH")
        and environ.get("REQUEST_METHOD") in _WITH_BODY
        and environ.get("PATH_INFO", "").startswith("/api/")
        and bool(environ.get("wsgi.input_terminated"))
    )
