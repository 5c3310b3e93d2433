"""Record the answers of lessons from small local models: a tool for authors of lessons."""
