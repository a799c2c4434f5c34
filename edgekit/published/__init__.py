"""Published figures: what others have measured for the same backbones, to show beside measured ones.

``figures.csv`` holds one figure a row, with its source and with what the source does not say about its conditions.
"""

from edgekit.published.figures import PublishedFigure, Quantity, published_figures

__all__ = ["PublishedFigure", "Quantity", "published_figures"]
