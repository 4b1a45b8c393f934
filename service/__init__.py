"""The service `idtone serve`: its startup, its hand-over to the next instance, and its messages to systemd."""
