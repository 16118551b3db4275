"""`evcore demo`: the gateway itself at a simulated site, real traffic on all six protocols, judged from outside."""
