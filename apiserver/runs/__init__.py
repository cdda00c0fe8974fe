"""The face for Runicorn's clients: rows of metrics over REST, logs over WebSocket. What rows mean is in `bll/runs`."""
