"""Images and sounds, given and made."""
