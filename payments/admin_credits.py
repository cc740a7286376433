"""Credit in the admin: accounts and their ledgers as they are; issuing and reversing by deed."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
)

from config.kernel.errors import DomainError
from config.kernel.money import Money, minor_of
from members import request_ids
from members.admin_scope import (
    MANAGER,
    ReadOnlyAdmin,
    ReadOnlyInline,
    access_of,
    staff_actor,
)
from members.admin_words import Deed, ReasonForm, ask_then_do, link, said_moment, said_money
from members.models import Member, Workspace
from payments import credits as ledger
from payments.credit_selectors import recipient
from payments.models import CreditAccount, CreditEntry


class IssueForm(ReasonForm):
    """How much, and why; to whom is known."""

    amount = forms.DecimalField(
        min_value=Decimal("0.001"), max_digits=12, widget=UnfoldAdminDecimalFieldWidget
    )
    request_id = forms.CharField(widget=forms.HiddenInput)
    field_order = ["workspace", "email", "amount", "reason"]

    def __init__(self, *args: Any, workspace: Workspace | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known_workspace = workspace
        self.fields["amount"].help_text = (
            f"In {workspace.currency}." if workspace else "In the workspace's currency."
        )

    def clean_request_id(self) -> str:
        try:
            return request_ids.check(self.cleaned_data["request_id"])
        except DomainError as error:
            raise forms.ValidationError(error.message) from None

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        workspace = data.get("workspace") or self.known_workspace
        if workspace is not None and data.get("amount") is not None:
            data["amount_minor"] = self._minor(data["amount"], workspace.currency)
        return data

    def _minor(self, amount: Decimal, currency: str) -> int:
        try:
            minor = minor_of(amount, currency)
        except DomainError as error:
            self.add_error("amount", error.message)
            return 0
        if not 1 <= minor <= ledger.MAX_MINOR:
            self.add_error("amount", f"At most {Money(ledger.MAX_MINOR, currency)}.")
        return minor


class IssueToForm(IssueForm):
    """The same for somebody who may have had no credit yet."""

    workspace = forms.ModelChoiceField(Workspace.objects, widget=UnfoldAdminSelectWidget)
    email = forms.EmailField(
        label="E-mail",
        widget=UnfoldAdminEmailInputWidget,
        help_text="Of somebody who has booked here.",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if "workspace" in data and "email" in data:
            data["member"] = recipient(data["workspace"], data["email"])
            if data["member"] is None:
                self.add_error("email", "Nobody with this address has booked here.")
        return data


class CreditEntryInline(ReadOnlyInline):
    model = CreditEntry
    fields = ("entry", "amount", "made", "expires", "reason", "by", "booking")
    readonly_fields = fields
    ordering = ("-created_at", "-id")
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        return rows.select_related("account__workspace", "due__booking")

    def _may(self, request: HttpRequest, rank: int, obj: Any) -> bool:
        return access_of(request).may(rank, obj.workspace_id if obj else None)

    @display(description="entry")
    def entry(self, row: CreditEntry) -> str:
        return link("payments_creditentry", row.pk, row.get_kind_display())

    @display(description="amount")
    def amount(self, row: CreditEntry) -> str:
        return said_money(row.amount_minor, row.account.currency)

    @display(description="made")
    def made(self, row: CreditEntry) -> str:
        return said_moment(row.created_at, row.account.workspace.timezone)

    @display(description="expires")
    def expires(self, row: CreditEntry) -> str:
        return said_moment(row.expires_at, row.account.workspace.timezone)

    @display(description="by")
    def by(self, row: CreditEntry) -> str:
        return row.actor_label or row.actor_kind

    @display(description="booking")
    def booking(self, row: CreditEntry) -> str:
        return (
            link("bookings_booking", row.due.booking_id, row.due.booking.reference)
            if row.due
            else "—"
        )


@admin.register(CreditAccount)
class CreditAccountAdmin(ReadOnlyAdmin):
    """Who has how much; managers give more."""

    list_display = ("member", "workspace", "balance_shown", "expires")
    search_fields = ("member__email", "member__name")
    ordering = ("-balance_minor", "pk")
    fields = (("member", "workspace"), ("balance_shown", "expires"))
    readonly_fields = ("balance_shown", "expires")
    inlines = (CreditEntryInline,)
    actions_list = ("issue_to",)
    actions_detail = ("issue_more",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("member", "workspace")

    @display(description="balance", ordering="balance_minor")
    def balance_shown(self, account: CreditAccount) -> str:
        return str(account.balance)

    @display(description="next expiry", ordering="next_expiry_at")
    def expires(self, account: CreditAccount) -> str:
        return said_moment(account.next_expiry_at, account.workspace.timezone)

    def has_issue_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    @action(description="Issue credit…", permissions=["issue"], icon="add", url_path="issue-to")
    def issue_to(self, request: HttpRequest) -> HttpResponse:
        form = IssueToForm(*_posted(request), initial=_initial())
        theirs = access_of(request).limit(Workspace.objects.order_by("name"), "", MANAGER)
        choice = form.fields["workspace"]
        assert isinstance(choice, forms.ModelChoiceField)
        choice.queryset, choice.initial = theirs, theirs.first()
        if form.is_valid():
            data = form.cleaned_data
            return self._issued(request, form, data["workspace"], data["member"])
        return self._page(request, form, "Issue credit", self._list_url())

    @action(description="Issue credit…", permissions=["issue"], icon="add", url_path="issue")
    def issue_more(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = self.row_or_404(request, object_id, MANAGER)
        form = IssueForm(*_posted(request), initial=_initial(), workspace=account.workspace)
        if form.is_valid():
            return self._issued(request, form, account.workspace, account.member)
        return self._page(
            request, form, f"Issue credit to {account.member}", self.change_url(account.pk)
        )

    def _issued(
        self, request: HttpRequest, form: IssueForm, workspace: Workspace, member: Member
    ) -> HttpResponse:
        data = form.cleaned_data
        entry = ledger.issue(
            workspace=workspace,
            member=member,
            amount_minor=data["amount_minor"],
            reason=data["reason"].strip(),
            source="admin",
            key=f"admin:{data['request_id']}",
            actor=staff_actor(request),
        )
        given = Money(entry.amount_minor, workspace.currency)
        messages.success(request, f"{member} has {given} more to spend.")
        return HttpResponseRedirect(self.change_url(entry.account_id))

    def _page(self, request: HttpRequest, form: IssueForm, title: str, back: str) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": title,
            "form": form,
            "back": back,
            "opts": self.opts,
        }
        status = 422 if form.is_bound else 200
        return TemplateResponse(request, "admin/surehold/issue_credit.html", context, status=status)

    def _list_url(self) -> str:
        return reverse("admin:payments_creditaccount_changelist")


@admin.register(CreditEntry)
class CreditEntryAdmin(ReadOnlyAdmin):
    """One movement, who made it and why; some can be reversed."""

    workspace_path = "account__workspace"
    list_display = ("account_shown", "kind", "amount", "made", "reason")
    list_filter = ("kind",)
    search_fields = ("account__member__email", "due__booking__reference")
    ordering = ("-created_at", "-id")
    fields = (
        "account_shown", "kind", "amount", "reason", "source", "by", "made", "expires",
        "booking", "undoes", "idempotency_key", "request_id",
    )  # fmt: skip
    readonly_fields = (
        "account_shown", "amount", "by", "made", "expires", "booking", "undoes",
    )  # fmt: skip
    actions_detail = ("reverse",)
    made, expires, by = CreditEntryInline.made, CreditEntryInline.expires, CreditEntryInline.by
    amount, booking = CreditEntryInline.amount, CreditEntryInline.booking

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        return rows.select_related("account__workspace", "account__member", "due__booking")

    @display(description="account")
    def account_shown(self, row: CreditEntry) -> str:
        return link("payments_creditaccount", row.account_id, str(row.account.member))

    @display(description="reverses")
    def undoes(self, row: CreditEntry) -> str:
        return link("payments_creditentry", row.reverses_id, "this") if row.reverses_id else "—"

    def has_reverse_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).may(MANAGER)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what can still be reversed."""
        entry = self.get_queryset(request).filter(pk=object_id, kind__in=ledger.REVERSIBLE)
        open_to_it = entry.filter(reversed_by=None).exists()
        return super().get_actions_detail(request, object_id) if open_to_it else []

    @action(
        description="Reverse…",
        permissions=["reverse"],
        icon="undo",
        variant=ActionVariant.DANGER,
    )
    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entry = self.row_or_404(request, object_id, MANAGER)
        amount = Money(-entry.amount_minor, entry.account.currency)
        deed = Deed(
            title=f"Reverse “{entry.get_kind_display()}” of {entry.account.member}",
            effects=[
                f"An entry of {amount} is added; the one reversed stays in the history.",
                "It is refused when the credit has been spent or has expired.",
                "The member sees both, with your reason.",
            ],
            button="Reverse the entry",
            done="The entry is reversed.",
            back=reverse("admin:payments_creditaccount_change", args=[entry.account_id]),
            perform=lambda reason: ledger.reverse(
                entry_id=entry.pk, reason=reason, source="admin", actor=staff_actor(request)
            ),
        )
        return ask_then_do(request, self.admin_site, CreditEntry, deed)


def _posted(request: HttpRequest) -> list[Any]:
    return [request.POST] if request.method == "POST" else []


def _initial() -> dict[str, str]:
    return {"request_id": request_ids.issue()}
