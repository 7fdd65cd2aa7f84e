"""What the course needs beside the library: exercises, figures, explorers, and the worlds of single chapters."""
