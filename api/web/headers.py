"""The headers that every page carries: what a browser may load, whom it tells, who may frame it."""

from __future__ import annotations

# Nothing but our own style sheet, pictures and the one script that hashes a file where it is; none stands in a page, so none can be
# smuggled into one.
_POLICY = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
_REFUSED_FEATURES = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "microphone",
    "payment",
    "usb",
)

SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that know no frame-ancestors
    # A code in an address opens a document; no other site is told it.
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _REFUSED_FEATURES),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

PAGE_HEADERS = {
    **SECURITY_HEADERS,
    # What a page says is true at its moment, and may be about a person's paper (RFC 9111 5.2.2.5).
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}

STATIC_HEADERS = {
    **SECURITY_HEADERS,
    # The address changes with the content.
    "Cache-Control": "public, max-age=31536000, immutable",
}
