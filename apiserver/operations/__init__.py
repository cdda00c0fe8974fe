"""What operators do beside serving: checking an installation, removing old data."""
