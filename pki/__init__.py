"""The trust services: issuance, revocation, CRL, audit, authorities."""
