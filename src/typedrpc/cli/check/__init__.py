"""`typedrpc check`: `command` gathers facts, `findings` and `topic_findings` decide what they mean. Pure, both."""
