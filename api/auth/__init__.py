"""Who may call: bearer tokens and their scopes, idempotency keys of each, rates."""
