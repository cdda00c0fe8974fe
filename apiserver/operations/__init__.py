"""Commands for operators: checking an installation, backup, removing old data."""
