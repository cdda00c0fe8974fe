"""What tells an operator how the server is: health, metrics, the access log, and the upkeep of its store."""
