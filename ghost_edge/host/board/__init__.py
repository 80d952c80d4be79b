"""What a board is sent, and how it is reached."""
