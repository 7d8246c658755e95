"""Time-stamping (RFC 3161, RFC 5816, EN 319 422): request, token, and the authority that answers one with the other."""
