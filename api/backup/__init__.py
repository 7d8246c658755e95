"""Backups: one encrypted file out of a running home, and a home out of that file."""
