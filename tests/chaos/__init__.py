"""Chaos: many calls between processes on three brokers, faults from a seed, and a checker of what became of each call.

`make chaos SEED=1 CALLS=100000` runs long; `test_chaos.py` is a short run. The way of a run: `schedule` makes the faults of
a seed, `run` starts the processes and lets the faults befall them, `client` and `server` write journals, `checker`
reads them.
"""
