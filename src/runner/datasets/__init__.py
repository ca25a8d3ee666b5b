"""Datasets: turns the rows of a file into samples, and checks them before a job starts.

`open_dataset(DatasetConfig(...))` returns a `Dataset`; `read_images(sample.images)` reads a sample's pictures when they
are needed. Each format has one file here (`annotations.py`, `spreadsheet.py`, ...) with one function, `read`.
"""

from runner.config.dataset import DatasetConfig
from runner.datasets.api import Dataset, Image, Sample
from runner.datasets.encoded import BadImage, EncodedImage
from runner.datasets.images import pages, read_image, read_images
from runner.datasets.opening import LoadedDataset, open_dataset
from runner.datasets.reader import Note, Reader, Row

__all__ = [
    "BadImage",
    "Dataset",
    "DatasetConfig",
    "EncodedImage",
    "Image",
    "LoadedDataset",
    "Note",
    "Reader",
    "Row",
    "Sample",
    "open_dataset",
    "pages",
    "read_image",
    "read_images",
]
