"""CAN: what the bytes mean. Sans-I/O, but for bus.py and log.py."""
