"""Reading events from Elasticsearch: pages, charts, points, logs."""
