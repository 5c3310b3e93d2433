"""Panel of a session, made of core ipywidgets for all front ends that support them."""
