"""Migrating a whole ClearML server, or another Tidemark, into this one."""
