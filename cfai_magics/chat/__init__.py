"""Process `%%cfai` prompts."""
