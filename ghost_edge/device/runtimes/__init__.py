"""Interpreters: one file for each."""
