"""Judging documents: our structural gate, facts gathered in the judge process, a policy that decides, a verdict."""
