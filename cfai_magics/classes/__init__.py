"""The teacher's side of a class server: its folder, students, keys and admin routes."""
