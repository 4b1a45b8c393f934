"""Witnesses (C2SP tlog-witness): they cosign only heads of a tree that continue what they cosigned before."""
