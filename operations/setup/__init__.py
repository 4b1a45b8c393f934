"""The command `idtone setup`, which prepares a PBX for idtone or undoes that.

`plan_setup` finds the missing parts, `unit_file` adapts the systemd unit, and `trial_call` places a test call.
"""
