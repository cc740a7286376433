"""The front door and signing in by a link. Opening the link signs nobody in; its button does."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from members import sign_in as links
from members.forms import SignInForm
from members.idempotency import Answer
from members.models import Workspace
from members.pages import member_of, private, says_what_happened, submitted

_SENT_TO = "sent_to"
_SESAME = "sesame.backends.ModelBackend"


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The workspaces, or the only one."""
    workspaces = list(Workspace.objects.order_by("name")[:200])
    if len(workspaces) == 1:
        return redirect("bookings:workspace", workspaces[0].slug)
    return render(request, "members/index.html", {"workspaces": workspaces})


@require_http_methods(["GET", "HEAD", "POST"])
@private
@says_what_happened
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for a link. The answer never tells whether the address is known."""
    form = SignInForm(request.POST or None)
    next_url = _safe_next(request)
    if request.method == "POST" and form.is_valid():
        return _send(request, form.cleaned_data["email"], next_url)
    status = 422 if form.errors else 200
    return render(request, "members/sign_in.html", {"form": form, "next": next_url}, status=status)


def _send(request: HttpRequest, email: str, next_url: str) -> HttpResponse:
    def work() -> Answer:
        links.send_link(email=email, next_url=next_url)
        return Answer(204, None)

    if "request_id" in request.POST:
        asked = {"email": email, "next": next_url}
        submitted(request, "pages.sign_in", asked, work, variant=email)
    else:  # the admin's door has a form of its own; asking twice there sends two mails
        work()
    response = redirect("members:sign_in_sent")
    response.set_signed_cookie(
        _SENT_TO, email, max_age=1800, path=reverse("members:sign_in"), httponly=True,
        samesite="Lax", secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip
    return response


@require_safe
@private
def sign_in_sent(request: HttpRequest) -> HttpResponse:
    """Check your mail: from whom, for how long, and how to try again."""
    words = {
        "email": request.get_signed_cookie(_SENT_TO, default="") or "",
        "sender": settings.DEFAULT_FROM_EMAIL,
        "minutes": links.minutes_valid(),
    }
    return render(request, "members/sign_in_sent.html", words)


@require_http_methods(["GET", "HEAD", "POST"])
@private
def sign_in_link(request: HttpRequest) -> HttpResponse:
    """A button on GET, since mail scanners open links; signing in on POST."""
    token = request.POST.get("token") or request.GET.get("token", "")
    next_url = _safe_next(request) or settings.LOGIN_REDIRECT_URL
    if request.method == "POST":
        return _use(request, token, next_url)
    member = links.peek(token)
    if member is None and member_of(request) is not None:
        return redirect(next_url)
    words = {"member": member, "token": token, "next": next_url}
    return render(request, "members/sign_in_link.html", words, status=200 if member else 410)


def _use(request: HttpRequest, token: str, next_url: str) -> HttpResponse:
    """Signing in uses the link up, so the second click of a double click finds it used."""
    member = links.member_for(token)
    if member is not None:
        login(request, member, backend=_SESAME)
    elif member_of(request) is None:
        return render(request, "members/sign_in_link.html", {"member": None}, status=410)
    return redirect(next_url)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("members:index")


def _safe_next(request: HttpRequest) -> str:
    """Where to go afterwards, if it is a page of ours; otherwise nowhere."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours and wanted.startswith("/") else ""
