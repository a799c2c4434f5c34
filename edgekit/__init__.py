"""edgekit: which small image classifier to put on this device, and how sure one can be."""

__version__ = "0.1.0"
