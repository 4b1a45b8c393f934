"""The command `idtone doctor`, which checks everything that a call depends on.

Modules named observe_… and asterisk_config_files read the state of the machine and of Asterisk, and write_trial tries
to write files. Modules named …_findings judge the observations and are pure. `checks` combines both, `run_checks` runs
the checks in parallel, and `fixes` plans the corrections of `--fix`.
"""
