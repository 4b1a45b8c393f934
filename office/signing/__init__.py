"""`idtone-sign`: a key holder reads and signs a package on their own computer, without a shell and without a
network.
"""
