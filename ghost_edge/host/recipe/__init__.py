"""A recipe: its schema, its network, what it writes."""
