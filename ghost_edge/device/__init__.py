"""Code that runs on the board: core and one interpreter."""
