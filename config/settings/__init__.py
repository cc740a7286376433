"""Settings by environment: local (the default of `manage.py`), test, production."""
