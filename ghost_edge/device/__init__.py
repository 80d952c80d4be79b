"""What runs on the board: core and one interpreter."""
