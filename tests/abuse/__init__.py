"""Generators of bad input. `python -m tests.abuse` tries all of every kind and prints a table (`make abuse`); the tests
try a part. A module has `TITLE` and `run(share)`: how many cases were tried, and what is wrong, a line each."""
