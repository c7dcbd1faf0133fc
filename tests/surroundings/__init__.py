"""Surroundings of the project: environment, home, disk, rights, editors, other programs.

`python -m tests.surroundings` tries all of them and prints the table; `test_surroundings.py` tries
those that take stand-in stages alone. Each has one verdict: no effect, one clear refusal before
anything runs, or a part of the record.
"""
