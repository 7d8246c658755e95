"""Chaos: keyd under load while its token fails on purpose. `python -m tests.chaos FILE` writes the table."""
