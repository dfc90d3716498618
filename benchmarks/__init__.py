"""The benchmarks: `make bench` for the whole table, `pytest benchmarks` for one operation after the other."""
