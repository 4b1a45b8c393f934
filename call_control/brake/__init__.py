"""The brake. It marks, slows and stops a line, trunk, customer or number whose calls are not those of an ordinary
one.
"""
