"""Streams and sessions: who publishes, who plays, for how long, and who is told."""
