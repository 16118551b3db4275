"""Connectors to what charges cars."""
