"""Search over settings, on training patients alone."""
