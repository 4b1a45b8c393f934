"""`idtone canary`: a test call through the trunk, which shows that the sound arrives.

commands the command: when to call, and what to print place_call the call itself, by ARI or a call file, with its record
and recording. I/O judge_canary the result, from the record and the recording. Pure
"""
