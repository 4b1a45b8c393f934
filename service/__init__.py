"""`idtone serve`: its start, its hand-over to the next instance, and what systemd hears of it."""
