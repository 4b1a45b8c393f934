"""`idtone doctor`: looks at everything that a call depends on, changes nothing, and says how to mend what is wrong.

findings       the topics, why each matters, and a finding as a value
versions, modules, asterisk, hook, sounds, registry, ledger, surroundings
               what was seen → findings; pure, like `findings`
ari, agi, machine
               the eyes: Asterisk over ARI; the service's AGI listener; this machine's files, ports, processes, names
               and clock
exam           what the checks share
checks         which look and which judgement make a check
rounds         runs the checks side by side, within one deadline
commands       the command, and how findings are shown
"""
