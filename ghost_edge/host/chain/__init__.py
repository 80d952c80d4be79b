"""The chain: run its stages, skip what is up to date."""
