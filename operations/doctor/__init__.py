"""`idtone doctor`: checks everything that a call depends on, and gives a remedy for each fault. `--fix` makes the safe
corrections; the other modules change nothing.

findings the topics, why each matters, and a finding as a value asterisk_findings, asterisk_version, backup_finding,
brake_finding, canary_finding, customer_lines_findings, hook_findings, ledger_findings, machine_findings, modules,
needless_work_findings, open_file_limit, registry_findings, settings_findings, shared_file_findings, suspension_finding,
trunk_findings, unsupported_hook_uses observations → findings; pure, like `findings` observe_agi, observe_asterisk,
observe_machine, asterisk_config_files, write_trial the observations: the service's AGI listener; Asterisk over ARI;
this machine's files, ports, processes, names and clock; Asterisk's configuration files; a trial to write where the
service writes check_inputs what the checks share checks, shared_file_checks the checks: each makes observations and
judges them; `shared_file_checks` has those of the files that the service and Asterisk share run_checks runs the checks
in parallel, within one deadline fixes the table of what `--fix` does about each topic; `planned_changes` has the
changes as values commands the command, and how it prints findings
"""
