"""The service `idtone serve`: its start, its hand-over to the next instance, and its messages to systemd."""
