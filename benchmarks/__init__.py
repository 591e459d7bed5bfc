"""How fast a call is, beside raw aiokafka in the same run: `make bench`."""
