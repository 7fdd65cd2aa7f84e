"""Attacks on rules: which lie pays, by looking it up, by sampling, and by learning."""
