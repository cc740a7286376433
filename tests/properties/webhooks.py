"""Webhooks as Stripe sends them, brought by hand: the sandbox's own are all dropped on the way.

So that the machine says when, how often and in which order they come.
"""

import json
from typing import Any

import stripe
from django.test import Client
from django.urls import reverse
from djstripe.models import WebhookEndpoint


def deliver(event: dict[str, Any]) -> str:
    """Post an event to the endpoint that is for its account, and expect it to be taken."""
    role = "connect" if event.get("account") else "platform"
    endpoint = WebhookEndpoint.objects.get(stripe_data__metadata__contains={"surehold": role})
    body = json.dumps(event)
    answer = Client().post(
        reverse("djstripe:djstripe_webhook_by_uuid", kwargs={"uuid": endpoint.djstripe_uuid}),
        data=body,
        content_type="application/json",
        headers={
            "Stripe-Signature": stripe.WebhookSignature.generate_signature_header(
                body, endpoint.secret
            )
        },
    )
    assert answer.status_code == 200, answer.content
    return str(event["type"])
