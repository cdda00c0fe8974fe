"""Tasks, projects, models and users on Elasticsearch."""
