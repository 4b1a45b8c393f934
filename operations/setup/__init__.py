"""`idtone setup`: makes a PBX ready for idtone, and undoes it.

plan_setup     what is missing, as groups of changes
unit_file      the unit for systemd
trial_call     a call through the hook to an extension that records what it hears
commands       the command
"""
