"""Agents: language models, who plays, what they were recorded to say, and what they are asked."""
