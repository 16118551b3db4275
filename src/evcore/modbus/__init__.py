"""Modbus: what the bytes mean. Sans-I/O, but for link.py."""
