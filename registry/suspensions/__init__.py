"""Suspensions by this node's operator, for requests that the police send directly (`idtone suspend`)."""
