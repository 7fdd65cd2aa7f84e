"""What serves the course alone: nothing of the library imports it."""
