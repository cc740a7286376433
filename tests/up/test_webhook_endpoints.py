"""Our endpoints at Stripe: made once, kept, moved with the site, made again when lost."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from djstripe.models import Account, APIKey, WebhookEndpoint

from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db


def _ensure() -> dict[str, str]:
    output = StringIO()
    call_command("ensure_webhook_endpoints", stdout=output)
    return dict(line.split(": ") for line in output.getvalue().splitlines())


def _at_stripe(sandbox: SandboxClient) -> dict[str, str]:
    found = sandbox.api("GET", "/v1/webhook_endpoints?limit=100").json()["data"]
    return {endpoint["id"]: endpoint["url"] for endpoint in found}


def test_each_gets_its_own_secret_and_is_kept(sandbox: SandboxClient) -> None:
    assert _ensure() == {"platform": "created", "connect": "created"}
    rows = list(WebhookEndpoint.objects.all())
    assert len({row.secret for row in rows if row.secret.startswith("whsec_")}) == 2
    assert {row.id: row.url for row in rows} == _at_stripe(sandbox)
    assert {row.djstripe_validation_method for row in rows} == {"verify_signature"}
    assert all(str(row.djstripe_uuid) in row.url for row in rows)
    assert not any("secret" in row.stripe_data for row in rows)
    platform = Account.objects.get()
    assert {row.djstripe_owner_account for row in rows} == {platform}
    assert APIKey.objects.get().djstripe_owner_account == platform
    assert _ensure() == {"platform": "kept", "connect": "kept"}
    assert len(_at_stripe(sandbox)) == 2


def test_they_follow_the_site_and_keep_their_secrets(sandbox: SandboxClient, settings) -> None:
    _ensure()
    secrets = set(WebhookEndpoint.objects.values_list("id", "secret"))
    settings.SITE_URL = "http://127.0.0.1:8001"
    assert _ensure() == {"platform": "updated", "connect": "updated"}
    assert all(url.startswith("http://127.0.0.1:8001/") for url in _at_stripe(sandbox).values())
    assert dict(WebhookEndpoint.objects.values_list("id", "url")) == _at_stripe(sandbox)
    assert set(WebhookEndpoint.objects.values_list("id", "secret")) == secrets


def test_lost_at_stripe_they_are_made_again(sandbox: SandboxClient) -> None:
    _ensure()
    sandbox.reset()
    assert _ensure() == {"platform": "created again", "connect": "created again"}
    assert dict(WebhookEndpoint.objects.values_list("id", "url")) == _at_stripe(sandbox)


def test_stripe_gone_is_one_clear_error(settings) -> None:
    settings.STRIPE_HOST = "http://127.0.0.1:9"
    with pytest.raises(CommandError, match="Stripe refused"):
        _ensure()
    assert not WebhookEndpoint.objects.exists()
