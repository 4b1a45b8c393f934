"""`idtone-sign`, which lets key holders read and sign packages on their own computers.

The program needs neither a shell nor a network.
"""
