"""Lint: own fast rules, run on a twin of every certificate before the issuer's key is used. Anything odd stops the issuance."""
