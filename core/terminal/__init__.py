"""The command line: options, tables, questions, errors of use."""
