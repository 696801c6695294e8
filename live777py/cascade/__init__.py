"""Which streams are pulled from and pushed to other servers, and how often that is tried."""
