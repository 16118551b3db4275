"""OCPP-J: what the bytes mean. Sans-I/O, but for websocket.py."""
