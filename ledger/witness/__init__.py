"""Witnesses (C2SP tlog-witness). They cosign only heads that continue the tree they cosigned before."""
