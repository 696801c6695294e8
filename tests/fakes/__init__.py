"""Stand-ins with the behaviour of the real thing and none of its I/O."""
