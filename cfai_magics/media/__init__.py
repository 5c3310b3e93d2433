"""Prepare images for models, and handle generated images and audio."""
