"""Pages and figures of the results."""
