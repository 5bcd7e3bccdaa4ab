"""Writes the pages of `docs/reference/`; see `docs/generate.py`."""
