"""Provide the session panel. It uses only core ipywidgets, so most front ends can show it."""
