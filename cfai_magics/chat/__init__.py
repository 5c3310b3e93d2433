"""Build and send `%%cfai` prompts, and handle the answers."""
