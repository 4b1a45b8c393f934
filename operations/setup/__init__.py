"""`idtone setup`: makes a PBX ready for idtone, and undoes it.

plan_setup     the missing parts, as groups of changes
unit_file      the unit for systemd
trial_call     a call through the hook to an extension that records the sound
commands       the command
"""
