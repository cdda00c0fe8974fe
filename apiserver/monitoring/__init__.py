"""Monitoring for operators: health, metrics, the access log, and maintenance of the store."""
