"""Witnesses (C2SP tlog-witness), which cosign only heads that continue the tree they cosigned before."""
