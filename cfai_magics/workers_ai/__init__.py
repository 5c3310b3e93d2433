"""Client of the Workers AI HTTP API."""
