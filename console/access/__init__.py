"""Access to the console: sign-in, sessions, roles and rights."""
