"""Keys and nothing else: generate, find, sign, destroy. No database, no wall clock, no web."""
