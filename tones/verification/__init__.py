"""Verification of recordings: does a recording contain a profile's sound?"""
