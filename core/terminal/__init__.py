"""Building blocks of command-line programs: options, tables, prompts and usage errors."""
