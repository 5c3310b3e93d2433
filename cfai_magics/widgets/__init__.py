"""The panel: a view of a session in core ipywidgets, for every front end that shows those."""
