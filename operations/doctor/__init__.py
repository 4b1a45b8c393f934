"""`idtone doctor`: checks everything that a call depends on, and gives a remedy for each fault. `--fix` makes the safe
corrections; the other modules change nothing.

findings       the topics, why each matters, and a finding as a value
versions, modules, asterisk, hook, hook_use, sounds, registry, ledger, surroundings
               observations → findings; pure, like `findings`
ari, agi, machine, configuration, trial
               the observations: Asterisk over ARI; the service's AGI listener; this machine's files, ports, processes,
               names and clock; Asterisk's configuration files; a trial to write where the service writes
exam           what the checks share
checks, shared_files
               the checks: each makes observations and judges them; `shared_files` has those of the files that the
               service and Asterisk share
rounds         runs the checks in parallel, within one deadline
fixes          the table of what `--fix` does about each topic; `operations.changes` are the changes as values
commands       the command, and how it prints findings
"""
