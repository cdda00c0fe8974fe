"""Writing events to Elasticsearch: batches, deletes, retention."""
