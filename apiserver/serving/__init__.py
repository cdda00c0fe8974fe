"""`tidemark serve`: gunicorn, its worker processes, and their start while the store is unavailable."""
