"""The way of one question of a notebook, from what a command is given to what is kept."""
