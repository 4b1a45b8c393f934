"""`idtone doctor`: looks at everything that a call depends on, leaves it as it is, and says how to mend what is wrong.

findings       the topics, why each matters, and a finding as a value
versions, modules, asterisk, hook, hook_use, sounds, registry, ledger, surroundings
               what was seen → findings; pure, like `findings`
ari, agi, machine, configuration, trial
               the eyes: Asterisk over ARI; the service's AGI listener; this machine's files, ports, processes, names
               and clock; Asterisk's configuration files; a trial to write where the service writes
exam           what the checks share
checks, shared_files
               which look and which judgement make a check; those of the files that the service and Asterisk share
rounds         runs the checks side by side, within one deadline
commands       the command, and how findings are shown
"""
