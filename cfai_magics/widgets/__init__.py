"""Panel of a session, built from core ipywidgets for all front ends that support them."""
