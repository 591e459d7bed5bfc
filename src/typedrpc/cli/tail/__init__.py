"""`typedrpc tail`: `conversation` matches requests with their replies."""
