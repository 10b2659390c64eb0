"""Killing what ships events, at every moment, and comparing what Elasticsearch holds with what was durable."""
