"""Connectors to what measures."""
