"""What grows with what: `scripts/kafka.py run -- python -m benchmarks.scale [WHAT ...]`."""
