"""`tidemark serve`: gunicorn, its worker processes, and what they do before their store answers."""
