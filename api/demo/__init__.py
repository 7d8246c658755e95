"""The demonstration: a fictive agency with papers, a seal and an officer's signature of its own making."""
