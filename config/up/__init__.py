"""The one command: everything that the product needs, on one machine, from nothing."""
