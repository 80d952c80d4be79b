"""Boards: the bundle that is sent to one, and the ways to reach it."""
