"""Images: folders, splits, the cache of decoded images, and the embedded dataset."""

from edgekit.data.cache import cache_dir, cache_size, clear_cache
from edgekit.data.dataset import SPLITS, Dataset
from edgekit.data.decode import decode_dataset
from edgekit.data.loading import open_dataset, open_run_dataset

__all__ = [
    "SPLITS",
    "Dataset",
    "cache_dir",
    "cache_size",
    "clear_cache",
    "decode_dataset",
    "open_dataset",
    "open_run_dataset",
]
