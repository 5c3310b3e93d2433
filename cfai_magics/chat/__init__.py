"""Run `%%cfai` questions."""
