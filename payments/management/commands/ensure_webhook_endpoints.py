"""Register our webhook endpoints at Stripe: one for the platform, one for connected accounts.

Direct charges signal only through the Connect endpoint, destination charges only through the
platform's, and each signs with a secret of its own (design.md §6). Repeating it changes nothing;
when the site's address changed, the endpoints follow it and keep their secrets.

Secrets are changed in two steps, so that no event is lost: `--rotate` makes new endpoints beside
the old ones, each with its own address and secret, and an event that comes through both is taken
once; `--retire` then deletes the old ones.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import stripe
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from djstripe.enums import APIKeyType
from djstripe.models import Account, APIKey, WebhookEndpoint

from payments.event_names import ALL_EVENTS

# How a row is found again: what we wrote into the endpoint's metadata at Stripe.
ROLE = "surehold"
ROLES = {"platform": False, "connect": True}


@dataclass(frozen=True)
class Registrar:
    """Keeps Stripe's endpoints and dj-stripe's rows alike, for one secret key."""

    client: stripe.StripeClient
    account: Account

    def ensure(self, role: str) -> str:
        """Make the endpoint of that role what it should be; returns what had to be done."""
        row = self._rows(role).first()
        if row is None:
            self._create(role)
            return "created"
        remote = self._retrieve(row)
        if remote is None:
            row.delete()
            self._create(role)
            return "created again"
        if self._differs(row, remote):
            self._update(row)
            return "updated"
        return "kept"

    def rotate(self, role: str) -> str:
        """Another endpoint of that role, with a secret of its own; returns what was done."""
        had = self._rows(role).exists()
        self._create(role)
        return "created beside the old one" if had else "created"

    def retire(self, role: str) -> str:
        """Delete what the newest endpoint of that role has replaced, and strays at our address.

        A stray is one of ours that no row knows: of a crash, or from after a restored backup.
        """
        current = self._rows(role).first()
        if current is None or self._retrieve(current) is None:
            raise CommandError(
                f"There is no endpoint for {role} to keep: run this without --retire."
            )
        superseded = self._rows(role).exclude(pk=current.pk)
        going = {row.id for row in superseded} | self._strays(role)
        for endpoint_id in sorted(going):
            self._delete(endpoint_id)
        superseded.delete()
        return f"{len(going)} deleted" if going else "nothing to retire"

    def _rows(self, role: str) -> QuerySet[WebhookEndpoint]:
        """Our rows for a role, the newest first."""
        return WebhookEndpoint.objects.filter(
            stripe_data__metadata__contains={ROLE: role}, djstripe_owner_account=self.account
        ).order_by("-djstripe_created")

    def _strays(self, role: str) -> set[str]:
        known = set(WebhookEndpoint.objects.values_list("id", flat=True))
        listed = self.client.v1.webhook_endpoints.list(params={"limit": 100})
        return {
            each.id
            for each in listed.auto_paging_iter()
            if each.metadata.to_dict().get(ROLE) == role
            and each.url.startswith(f"{settings.SITE_URL}/")
            and each.id not in known
        }

    def _delete(self, endpoint_id: str) -> None:
        try:
            self.client.v1.webhook_endpoints.delete(endpoint_id)
        except stripe.InvalidRequestError as error:
            if error.http_status != 404:  # deleted in Stripe's dashboard
                raise

    def _retrieve(self, row: WebhookEndpoint) -> stripe.WebhookEndpoint | None:
        try:
            return self.client.v1.webhook_endpoints.retrieve(row.id)
        except stripe.InvalidRequestError as error:
            if error.http_status == 404:
                return None  # another sandbox, or deleted in Stripe's dashboard
            raise

    def _differs(self, row: WebhookEndpoint, remote: stripe.WebhookEndpoint) -> bool:
        wanted = (address(row.djstripe_uuid), sorted(ALL_EVENTS))
        return wanted != (remote.url, sorted(remote.enabled_events)) or row.url != remote.url

    def _create(self, role: str) -> None:
        # A crash before the row is saved leaves an endpoint at Stripe that we do not know; its
        # events answer 404 there, and settle nothing twice.
        uuid = uuid4()
        made = self.client.v1.webhook_endpoints.create(
            params={
                "url": address(uuid),
                "enabled_events": _events(),
                "connect": ROLES[role],
                "description": f"Surehold, {role}",
                "metadata": {ROLE: role, "djstripe_uuid": str(uuid)},
            }
        )
        row = WebhookEndpoint(
            id=made.id,
            djstripe_uuid=uuid,
            djstripe_owner_account=self.account,
            djstripe_validation_method="verify_signature",
            livemode=made.livemode,
            secret=made.secret,
        )
        _copy(row, made)

    def _update(self, row: WebhookEndpoint) -> None:
        changed = self.client.v1.webhook_endpoints.update(
            row.id,
            params={
                "url": address(row.djstripe_uuid),
                "enabled_events": _events(),
            },
        )
        _copy(row, changed)


def _events() -> Any:
    """Stripe's types list every event there is by name; ours are some of them."""
    return list(ALL_EVENTS)


def address(uuid: UUID) -> str:
    """Where Stripe sends one endpoint's events."""
    path = reverse("djstripe:djstripe_webhook_by_uuid", kwargs={"uuid": uuid})
    return f"{settings.SITE_URL}{path}"


def _copy(row: WebhookEndpoint, remote: stripe.WebhookEndpoint) -> None:
    """Save what Stripe says of the endpoint; the secret is said once only, at its creation."""
    row.url, row.status = remote.url, remote.status
    row.enabled_events = list(remote.enabled_events)
    row.api_version = remote.api_version or ""
    row.metadata = remote.metadata.to_dict() if remote.metadata else {}
    row.stripe_data = {k: v for k, v in remote.to_dict(recursive=True).items() if k != "secret"}
    row.save()


def _platform(client: stripe.StripeClient) -> Account:
    """Our own account and key as dj-stripe's rows, so that no webhook has to ask Stripe for them.

    Without them dj-stripe fetches the account inside the first event's transaction. A key that
    was replaced is forgotten: dj-stripe would go on asking with it after Stripe has revoked it.
    """
    found = client.v1.accounts.retrieve_current()
    account, _ = Account.objects.get_or_create(
        id=found.id,
        defaults={
            "livemode": settings.STRIPE_LIVE_MODE,
            "stripe_data": found.to_dict(recursive=True),
        },
    )
    key, _ = APIKey.objects.get_or_create_by_api_key(settings.STRIPE_SECRET_KEY)
    if key.djstripe_owner_account_id != account.id:
        key.djstripe_owner_account = account
        key.save()
    secret = [APIKeyType.secret, APIKeyType.restricted]
    others = APIKey.objects.filter(type__in=secret, livemode=key.livemode)
    others.filter(djstripe_owner_account=account).exclude(pk=key.pk).delete()
    return account


class Command(BaseCommand):
    help = "Register the platform's and the connected accounts' webhook endpoints at Stripe."

    def add_arguments(self, parser: CommandParser) -> None:
        step = parser.add_mutually_exclusive_group()
        step.add_argument(
            "--rotate",
            action="store_const",
            dest="step",
            const=Registrar.rotate,
            help="make new endpoints, with new secrets, beside those there are",
        )
        step.add_argument(
            "--retire",
            action="store_const",
            dest="step",
            const=Registrar.retire,
            help="delete the endpoints that newer ones have replaced, and strays",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.STRIPE_SECRET_KEY:
            raise CommandError("STRIPE_SECRET_KEY is missing.")
        client = stripe.StripeClient(
            settings.STRIPE_SECRET_KEY,
            base_addresses={"api": settings.STRIPE_HOST},
            http_client=stripe.RequestsClient(timeout=settings.STRIPE_TIMEOUT),
            max_network_retries=2,
        )
        try:
            with transaction.atomic():
                account = _platform(client)
            step = options["step"] or Registrar.ensure
            done = {role: step(Registrar(client, account), role) for role in ROLES}
        except stripe.StripeError as error:
            raise CommandError(f"Stripe refused: {error.user_message or error}") from error
        for role, what in done.items():
            self.stdout.write(f"{role}: {what}")
