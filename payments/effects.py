"""What this app writes when something happens; see `manage.py effects`."""
