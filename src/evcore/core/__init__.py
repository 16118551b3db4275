"""The seam between Python and the native floor: bytes in, objects or arrays out."""
