"""A local stand-in for Stripe: its HTTP API, payment page and webhooks, with faults on request.

The sandbox is a process of its own with storage of its own. It shares no code with the product:
whatever the product knows about it, it knows through HTTP, as it would with Stripe.
Start it with ``python -m payments.sandbox``.
"""
