"""`typedrpc bench`: `load` makes the calls, `latencies` and `report` make something of the times."""
