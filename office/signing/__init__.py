"""`idtone-sign`, with which a key holder reads and signs packages on their own computer.

The program needs neither a shell nor a network.
"""
