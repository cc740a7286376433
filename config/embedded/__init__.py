"""Servers that come as Python packages: PostgreSQL, Valkey and the Stripe sandbox.

`manage.py up` and the test suite start them, so that an empty machine needs nothing else. Nothing
here imports Django or an app: it runs before there is a database to configure Django with.
"""
