"""The command line: options, tables, prompts, usage errors."""
