"""The commands `import`, `follow` (import while files grow) and `export`."""
