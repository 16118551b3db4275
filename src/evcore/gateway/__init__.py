"""A program made of connectors: config, hub, store, payment, wiring, command line."""
