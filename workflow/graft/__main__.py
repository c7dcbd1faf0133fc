"""`python -m graft` is the command `graft`."""

from graft.cli import main

main()
