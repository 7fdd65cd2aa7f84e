"""Mechanism design for LLM agents: a mechanism is a function from reports to an outcome."""
