"""Map: run one prompt template over many rows."""
