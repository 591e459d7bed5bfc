"""The conventions of other frameworks: pure mappings of frames ⇄ headers and bodies."""
