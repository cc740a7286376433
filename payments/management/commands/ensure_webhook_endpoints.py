"""Register our webhook endpoints at Stripe: one for the platform, one for connected accounts.

Direct charges signal only through the Connect endpoint, destination charges only through the
platform's, and each signs with a secret of its own (design.md §6). Repeating it changes nothing;
when the site's address changed, the endpoints follow it and keep their secrets.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import stripe
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.urls import reverse
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
        row = WebhookEndpoint.objects.filter(
            stripe_data__metadata__contains={ROLE: role}, djstripe_owner_account=self.account
        ).first()
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

    Without them dj-stripe fetches the account inside the first event's transaction.
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
    return account


class Command(BaseCommand):
    help = "Register the platform's and the connected accounts' webhook endpoints at Stripe."

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
            done = {role: Registrar(client, account).ensure(role) for role in ROLES}
        except stripe.StripeError as error:
            raise CommandError(f"Stripe refused: {error.user_message or error}") from error
        for role, what in done.items():
            self.stdout.write(f"{role}: {what}")
