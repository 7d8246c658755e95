"""The done-when checks, as a user and as strangers with other software would carry them out; `make accept`."""
