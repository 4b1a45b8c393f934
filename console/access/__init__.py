"""Console access: sign-in, sessions, roles and rights."""
