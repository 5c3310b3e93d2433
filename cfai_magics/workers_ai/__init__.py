"""Client for the Workers AI HTTP API."""
