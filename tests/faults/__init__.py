"""Faults in builds of the project: which it survives, which need a hand, and which end wrong.

`python -m tests.faults` runs all of them and prints the table; `test_faults.py` runs a few. A
trial copies a built project, lets a fault happen to it, mostly while an engine runs, and then runs
one engine once more. After that every output must be right, and both engines must be idle.
"""
