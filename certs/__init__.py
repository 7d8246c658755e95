"""What a certificate must look like, and which exist; the lowest room that stores."""
