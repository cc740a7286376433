"""What every page of every app needs: who asks, from where, and doing a thing once."""

from collections.abc import Callable
from functools import wraps
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_cache_control

from config.kernel.context import Actor
from config.kernel.errors import DomainError
from config.middleware import unavailable
from members import idempotency, request_ids
from members.idempotency import Answer, once
from members.models import Member
from members.visitors import visitor_of

View = Callable[..., HttpResponse]


def member_of(request: HttpRequest) -> Member | None:
    """The member who is signed in, or None."""
    return request.user if isinstance(request.user, Member) else None


def actor_of(request: HttpRequest) -> Actor:
    """Who history says it was: the member, or the browser."""
    member = member_of(request)
    if member is not None:
        return Actor("member", str(member.pk), str(member))
    return Actor("visitor", visitor_of(request), "Visitor")


def page_url(request: HttpRequest | None, name: str, *args: Any) -> str:
    """A page's address as `reverse` gives it; within a frame, the frame's own page of that name."""
    frame = getattr(request, "frame", None)
    if frame is not None:
        return str(frame.address(name, *map(str, args)))
    return reverse(name, args=args)


def address_of(request: HttpRequest) -> str | None:
    """The visitor's public address, for limits; None when only a private one is known. Of IPv6 it
    is the network of a household (/64), by its first address: who has one has all of its 2^64.

    Behind a proxy of ours (a private peer) it is the last hop that the proxy itself wrote down.
    What comes from a public peer in that header is the peer's own invention and is not read.
    """
    peer = _public(request.META.get("REMOTE_ADDR", ""))
    return peer or _public(request.headers.get("X-Forwarded-For", "").rpartition(",")[2])


def _public(text: str) -> str | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A socket for both kinds says ::ffff:192.0.2.1 of an IPv4 visitor.
        address = address.ipv4_mapped or ip_network(f"{address}/64", strict=False).network_address
    return str(address) if address.is_global else None


def submitted(
    request: HttpRequest,
    operation: str,
    asked: dict[str, Any],
    work: Callable[[], Answer],
    *,
    variant: str = "",
    calls_out: bool = False,
) -> Answer:
    """Do what a form asks once, however often it arrives (INV-8).

    The scope is the browser, which stays the same when its owner signs in or out in between.
    `variant` tells apart submissions of one form that say different things, such as a corrected
    e-mail address after the back button.
    """
    key = request_ids.check(request.POST.get("request_id", ""))
    return once(
        scope=f"visitor:{visitor_of(request)}",
        operation=operation,
        key=f"{key}:{_digest(variant)}" if variant else key,
        request=asked,
        work=work,
        calls_out=calls_out,
    )


def refused(
    request: HttpRequest, operation: str, asked: dict[str, Any], error: DomainError
) -> Answer:
    """The answer of a form that was refused before any work began, kept for its repeats."""
    return idempotency.refused(
        scope=f"visitor:{visitor_of(request)}",
        operation=operation,
        key=request_ids.check(request.POST.get("request_id", "")),
        request=asked,
        error=error,
    )


def _digest(text: str) -> str:
    """Short, however long the text is: a key has its length."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def private(view: View) -> View:
    """A page about one person's booking: kept by no cache, and it knows its browser.

    The visitor's cookie is set by the GET, so that two submits of one form are one browser's.
    """

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        visitor_of(request)
        response = view(request, *args, **kwargs)
        patch_cache_control(response, private=True, no_store=True)
        return response

    return page


def posted(elsewhere: Callable[..., str]) -> Callable[[View], View]:
    """Only POST changes something; who opens the address otherwise goes where it belongs.

    A reload of an answer can become a GET (a copied address, a sign-in in between).
    """

    def only_post(view: View) -> View:
        @wraps(view)
        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                return view(request, *args, **kwargs)
            return redirect(elsewhere(*args, **kwargs))

        return page

    return only_post


def says_what_happened(view: View) -> View:
    """Turns a DomainError that a view did not deal with into a page that explains it."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except DomainError as error:
            return problem_page(request, error)

    return page


def see_other(url: str) -> HttpResponse:
    """303: whatever was posted is done; reloading the next page repeats nothing."""
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def problem_page(request: HttpRequest, error: DomainError, **context: Any) -> HttpResponse:
    """What happened, what it means for money and slot, what to do."""
    if error.status == 503:
        return unavailable(request, error)
    words = {"code": error.code, "message": error.message, **context}
    response = render(request, "problem.html", words, status=error.status)
    if error.retry_after_seconds:
        response["Retry-After"] = str(error.retry_after_seconds)
    return response
