"""One module a contender: `serve` and `calls`, both async context managers."""
