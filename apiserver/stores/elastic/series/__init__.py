"""The statistics documents of series, and the group commit that writes them."""
