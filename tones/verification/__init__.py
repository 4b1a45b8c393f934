"""The verification of a recording: does it contain a profile's sound?"""
