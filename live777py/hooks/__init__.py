"""What is told outside of the process: programs that are run on events, and URLs that are posted to."""
