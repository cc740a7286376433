"""Tests of the local stand-in for Stripe. They need no database."""
