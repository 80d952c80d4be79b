"""Questions asked with the chain."""
