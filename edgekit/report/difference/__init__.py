"""`edgekit diff`: two reports side by side, and what differs between them beyond noise."""
