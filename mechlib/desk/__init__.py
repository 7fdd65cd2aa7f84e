"""The desk: where rounds are run, written down and settled."""
