"""Connected calendars in the admin: connecting, how they stand, and letting go."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from bookings.calendars import ages, connecting, google
from bookings.links import absolute
from bookings.models import CalendarConnection, ConnectedResource
from config.kernel import clock, outbound
from config.kernel.errors import DomainError
from members.admin_scope import MANAGER, ScopedAdmin, ScopedInline, access_of
from members.admin_words import Deed, OptionalReasonForm, ask_then_do, said_moment
from members.models import Member

_SESSION = "calendar_consent"


class AddressField(forms.URLField):
    """`webcal://` is how pages write the https address of a file that calendars subscribe to."""

    def to_python(self, value: Any) -> str:
        given = str(value or "").strip()
        scheme, _, rest = given.partition("://")
        web = scheme.lower() in {"webcal", "webcals"}
        return str(super().to_python(f"https://{rest}" if web else given))


class ConnectionForm(forms.ModelForm):
    """The password is entered and never shown: blank keeps the one that there is."""

    new_password = forms.CharField(
        label="App password",
        required=False,
        max_length=254,
        strip=True,
        widget=UnfoldAdminTextInputWidget(
            attrs={"type": "password", "autocomplete": "new-password"}
        ),
        help_text="Made at the calendar's provider for this purpose. Blank keeps the one we have.",
    )

    class Meta:
        model = CalendarConnection
        fields = ("url",)  # and what the admin says
        field_classes = {"url": AddressField}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind = cleaned.get("kind") or self.instance.kind
        if kind == "google":
            if not google.is_set_up():
                self.add_error("kind", "Google is not set up here: see docs/operations.md.")
            if not cleaned.get("username"):
                self.add_error("username", "Enter the calendar's id, such as desk@gmail.com.")
        elif not cleaned.get("url"):
            self.add_error("url", "Enter the address.")
        if kind == "caldav" and not cleaned.get("username"):
            self.add_error("username", "Enter the name of the account.")
        if not self.errors:
            self._refuse_address(kind, cleaned)
        return cleaned

    def _refuse_address(self, kind: str, cleaned: dict[str, Any]) -> None:
        """An ICS address is tried by nobody before it is read; others are, when one is chosen."""
        try:
            if kind == "ics" and "url" in self.changed_data:
                outbound.check_url(cleaned["url"])
        except DomainError as error:
            self.add_error("url", error.message)
        if self.instance.pk:
            self._refuse_elsewhere(kind, cleaned)

    def _refuse_elsewhere(self, kind: str, cleaned: dict[str, Any]) -> None:
        field = "username" if kind == "google" else "url"
        to = google.calendar_url(cleaned[field]) if kind == "google" else cleaned[field]
        if field in self.changed_data:
            try:
                connecting.refuse_elsewhere(self.instance, to)
            except DomainError as error:
                self.add_error(field, error.message)


class ConnectedResourceForm(forms.ModelForm):
    """Before the trigger refuses (`connected_resource_belongs`): an ICS address is only read,
    whatever is ticked, and a pool is not blocked."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        connection, resource = cleaned.get("connection"), cleaned.get("resource")
        if connection and connection.kind == "ics":
            cleaned["writes"] = False
        if resource and cleaned.get("reads") and resource.mode != "exclusive":
            self.add_error(
                "reads", "Busy times say nothing of how many units of a pool: untick it."
            )
        return cleaned


class ConnectedResourceInline(ScopedInline):
    """What the calendar does for which resource."""

    model = ConnectedResource
    form = ConnectedResourceForm
    fields = ("resource", "writes", "reads")
    delete_rank = MANAGER
    verbose_name = "resource"
    verbose_name_plural = "resources: what is booked is written into it, its busy times block them"


class _ChoiceForm(OptionalReasonForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["reason"]


@admin.register(CalendarConnection)
class CalendarConnectionAdmin(ScopedAdmin):
    form = ConnectionForm
    inlines = (ConnectedResourceInline,)
    list_display = (
        "name", "kind", "owner", "how_it_stands", "busy_times", "checked", "workspace",
    )  # fmt: skip
    list_select_related = ("workspace", "owner")
    list_filter = ("state", "kind")
    search_fields = ("name", "username")
    actions_detail = ("choose_calendar", "consent", "check_now", "disconnect")
    readonly_fields = ("how_it_stands", "busy_times", "written", "checked")
    fieldsets: Any = (
        (None, {"fields": ("workspace", "name", "owner", "kind")}),
        (
            "Where it is",
            {
                "fields": ("url", "username", "new_password"),
                "description": "CalDAV: the server's address, the account's name and an app "
                "password. Google: the calendar's id as the name. ICS: only the address.",
            },
        ),
        ("Busy times", {"fields": ("max_age_seconds", "busy_times")}),
        ("How it stands", {"fields": ("how_it_stands", "written", "checked")}),
    )

    # Of one that is still to be connected there is nothing to say.
    add_fieldsets: Any = (*fieldsets[:2], ("Busy times", {"fields": ("max_age_seconds",)}))

    # --- what is shown --------------------------------------------------------------------------

    @display(description="state")
    def how_it_stands(self, connection: CalendarConnection) -> str:
        said = connection.get_state_display()
        if connection.state == "waiting" and connection.kind == "caldav":
            return "Not connected yet: choose the calendar"
        if connection.state != "connected":
            return str(said)
        if connection.write_failing_since is not None:
            since = said_moment(connection.write_failing_since, connection.workspace.timezone)
            return f"{said}, but away since {since}: {connection.write_error}"
        return f"{said}. {connection.write_error}".strip().removesuffix(".")

    @display(description="busy times")
    def busy_times(self, connection: CalendarConnection) -> str:
        return ages.said(connection, clock.now())

    @display(description="last written")
    def written(self, connection: CalendarConnection) -> str:
        return said_moment(connection.written_at, connection.workspace.timezone)

    @display(description="last compared with our bookings")
    def checked(self, connection: CalendarConnection) -> str:
        if connection.checked_at is None:
            return connection.check_error or "—"
        at = said_moment(connection.checked_at, connection.workspace.timezone)
        found = {name: n for name, n in connection.check_found.items() if name != "seen" and n}
        said = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in found.items())
        failed = f"; since then: {connection.check_error}" if connection.check_error else ""
        return f"{at}: {said or 'no differences'}{failed}"

    # --- saving ---------------------------------------------------------------------------------

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, "kind") if obj else fields

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Calendars belong to people who work there."""
        if db_field.name == "owner":
            staff = access_of(request).limit(
                Member.objects.filter(staff_roles__isnull=False), "staff_roles__workspace", MANAGER
            )
            kwargs["queryset"] = staff.distinct()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """What says where it is or who asks is tried before the calendar counts as connected."""
        if form.cleaned_data.get("new_password"):
            obj.password = form.cleaned_data["new_password"]
        if not change:
            obj.created_by = request.user
        is_other = bool({"url", "username", "new_password"} & set(form.changed_data))
        if obj.kind != "ics" and (is_other or not change):
            obj.state = "waiting"
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if form.instance.state == "connected" and form.instance.kind != "ics":
            connecting.look_again(form.instance.pk)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        return self._on_to_connecting(obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> Any:
        return self._on_to_connecting(obj) or super().response_change(request, obj)

    def _on_to_connecting(self, connection: CalendarConnection) -> HttpResponse | None:
        if connection.state != "waiting":
            return None
        name = "consent" if connection.kind == "google" else "choose_calendar"
        return HttpResponseRedirect(
            reverse(f"admin:bookings_calendarconnection_{name}", args=[connection.pk])
        )

    # --- what is done with it -------------------------------------------------------------------

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what makes sense for such a calendar as it stands."""
        offered = super().get_actions_detail(request, object_id)
        row = self.get_queryset(request).filter(pk=object_id).first()
        left = row is None or row.state in {"leaving", "disconnected"}
        fits = {
            "choose_calendar": row is not None and row.kind == "caldav",
            "consent": row is not None and row.kind == "google",
            "check_now": row is not None and row.state == "connected" and row.kind != "ics",
            "disconnect": not left,
        }
        return [each for each in offered if fits.get(each.path.replace("-", "_"), True)]

    def has_connect_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    @action(description="Choose the calendar…", permissions=["connect"], icon="calendar_month")
    def choose_calendar(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks the server for the account's calendars; the button connects one."""
        connection = self.row_or_404(request, object_id, MANAGER)
        try:
            choices = connecting.calendars_of(connection)
        except DomainError as error:
            messages.error(request, f"{error.message} Correct what was entered, and save it again.")
            return HttpResponseRedirect(self.change_url(connection.pk))
        by_url = {choice.url: choice for choice in choices}
        field = forms.ChoiceField(
            label="Calendar",
            choices=[(choice.url, choice.name) for choice in choices],
            initial=connection.url if connection.url in by_url else choices[0].url,
            widget=UnfoldAdminRadioSelectWidget,
        )
        deed = Deed(
            title=f"Connect {connection.name}",
            effects=[
                "What is booked of its resources is written into the calendar that is chosen.",
            ],
            button="Connect this calendar",
            done="It is connected. What is booked appears in it within seconds.",
            back=self.change_url(connection.pk),
            perform=lambda form: connecting.connect_caldav(
                connection, by_url[form.cleaned_data["calendar"]]
            ),
            dangerous=False,
            form=type("ChoiceForm", (_ChoiceForm,), {"calendar": field}),
        )
        return ask_then_do(request, self.admin_site, CalendarConnection, deed)

    @action(description="Consent at Google…", permissions=["connect"], icon="add_link")
    def consent(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The first time, and again whenever Google refuses what we have."""
        connection = self.row_or_404(request, object_id, MANAGER)
        asking = google.ask()
        deed = Deed(
            title=f"Connect {connection.name} with Google",
            effects=[
                "Google asks the calendar's owner whether Surehold may read and write it.",
                "Nothing is written before they say yes.",
            ],
            button="Go to Google",
            done="Google asks on its own page and then sends you back here.",
            back=self.change_url(connection.pk),
            perform=lambda _reason: None,
            dangerous=False,
            asks_reason=False,
        )
        response = ask_then_do(request, self.admin_site, CalendarConnection, deed)
        if request.method != "POST" or response.status_code != 302:
            return response
        request.session[_SESSION] = {
            "state": asking.state, "verifier": asking.verifier, "connection": str(connection.pk),
        }  # fmt: skip
        return HttpResponseRedirect(
            google.consent_url(asking, redirect_uri=redirect_uri(), login=connection.username)
        )

    def get_urls(self) -> list[Any]:
        back = self.admin_site.admin_view(self.consented)
        return [
            path("google/", back, name="bookings_calendarconnection_google"),
            *super().get_urls(),
        ]

    def consented(self, request: HttpRequest) -> HttpResponse:
        """Google sends the browser back: what it brings must be the answer to our question."""
        asked = request.session.pop(_SESSION, None)
        if not asked or request.GET.get("state") != asked["state"]:
            messages.error(request, "This answer of Google's is to no question of ours. Ask again.")
            return HttpResponseRedirect(reverse("admin:bookings_calendarconnection_changelist"))
        connection = self.row_or_404(request, asked["connection"], MANAGER)
        if "code" not in request.GET:
            messages.error(request, "Google says no: the calendar's owner did not consent.")
            return HttpResponseRedirect(self.change_url(connection.pk))
        try:
            connecting.connect_google(
                connection,
                code=request.GET["code"],
                verifier=asked["verifier"],
                redirect_uri=redirect_uri(),
            )
        except DomainError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, "It is connected. What is booked appears in it in seconds.")
        return HttpResponseRedirect(self.change_url(connection.pk))

    @action(description="Compare it now", permissions=["connect"], icon="sync")
    def check_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.row_or_404(request, object_id, MANAGER)
        connecting.look_again(connection.pk)
        messages.info(request, "It is compared with our bookings; see below in a moment.")
        return HttpResponseRedirect(self.change_url(connection.pk))

    @action(description="Disconnect…", permissions=["connect"], icon="link_off")
    def disconnect(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.row_or_404(request, object_id, MANAGER)
        deed = Deed(
            title=f"Disconnect {connection.name}",
            effects=[
                "Our events to come are removed from it; past ones stay.",
                "Its busy times block nothing any more.",
                "The password or the consent is forgotten; at Google it is taken back.",
            ],
            button="Disconnect it",
            done="It is being disconnected.",
            back=self.change_url(connection.pk),
            perform=lambda _reason: connecting.disconnect(connection.pk),
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, CalendarConnection, deed)


def redirect_uri() -> str:
    """The address that Google's client must allow; operations.md names it."""
    return absolute(reverse("admin:bookings_calendarconnection_google"))
