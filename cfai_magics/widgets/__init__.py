"""Provide the session panel, built from core ipywidgets so that most front ends can show it."""
