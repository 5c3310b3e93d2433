"""The steps of each front end's session."""
