"""Documents: credentials, appearance, CMS, PAdES, the register and the validation."""
