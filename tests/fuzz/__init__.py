"""Records at random, thrown at a live service and a live client while real calls go on: `make fuzz`."""
