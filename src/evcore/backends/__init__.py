"""Connectors to those who run the business."""
