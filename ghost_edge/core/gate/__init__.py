"""The gate: limits, and each number against its limit."""
