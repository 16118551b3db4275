"""`python -m evcore`: the program evcore."""

from evcore.gateway.cli import main

main()
