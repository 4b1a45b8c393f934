"""`idtone canary`: a call of one's own through the trunk, by which it is seen that the sound arrives.

commands       the command: when to call, and what to print
place_call     the call itself, by ARI or a call file, and what it left. I/O
judge_canary   the result, from the record and the recording. Pure
"""
