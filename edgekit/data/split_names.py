"""Recognises the names of split folders: ``train``, ``Testing``, ``training_set``, ``seg_train``, ``valid2017``."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_WORDS = {
    "train": ("train", "training", "trn", "trainval", "traindev"),
    "val": ("val", "valid", "validation", "validate", "validating", "vld"),
    "test": ("test", "testing", "tst", "tests", "holdout"),
}
_ALONE = {"dev": "val", "eval": "test", "evaluation": "test", "tr": "train", "te": "test", "va": "val"}
"""Words that say too little inside a longer name."""

_GENERIC = frozenset(
    {"and", "aug", "augment", "augmented", "balanced", "class", "classes", "classification", "clean", "cleaned",
     "cls", "copy", "cropped", "data", "dataset", "datasets", "dir", "final", "folder", "folders", "for", "full",
     "image", "images", "img", "imgs", "large", "new", "of", "old", "orig", "original", "photo", "photos", "pic",
     "pics", "picture", "pictures", "px", "raw", "resized", "sample", "samples", "set", "sets", "small", "sorted",
     "split", "splits", "the", "v", "x"}
)  # fmt: skip
"""Words that say nothing about what the images show."""

_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}


_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word starts in a name such as ``TrainSet``."""


class SplitName(NamedTuple):
    """The split that a name means, and what else it says: ``seg_train`` is ``train`` with the rest ``seg``."""

    split: str
    rest: str

    @property
    def is_plain(self) -> bool:
        """Whether the name says nothing else, so that it means a split by itself."""
        return not self.rest


def split_name(name: str) -> SplitName | None:
    """The split that the name of a folder means; None if it means none, or several."""
    name = unicodedata.normalize("NFC", name)
    return _split_of_words(_words_of(_BOUNDARY.sub(" ", name))) or _split_of_words(_words_of(name))


def _split_of_words(words: list[str]) -> SplitName | None:
    if len(words) == 1 and words[0] in _ALONE:
        return SplitName(_ALONE[words[0]], "")
    splits: list[str] = []
    rest: list[str] = []
    for word in words:
        split, more = _split_word(word)
        if split is not None:
            splits.append(split)
        elif not (word in _GENERIC or word.isdigit()):
            rest.append(word)
        if more:
            rest.append(more)
    if len(set(splits)) != 1:
        return None
    return SplitName(splits[0], " ".join(rest))


def _words_of(name: str) -> list[str]:
    return [word.casefold() for word in re.split(r"[\W_]+", re.sub(r"(?<=\D)(?=\d)|(?<=\d)(?=\D)", " ", name)) if word]


def _split_word(word: str) -> tuple[str | None, str]:
    """The split in one word, and what else is in it: ``trainset`` is ``train`` and nothing else."""
    if word in _SPLIT_OF:
        return _SPLIT_OF[word], ""
    for start in sorted(_SPLIT_OF, key=len, reverse=True):
        if word.startswith(start) and word[len(start) :] in _GENERIC:
            return _SPLIT_OF[start], ""
        if word.endswith(start) and word[: -len(start)] in _GENERIC:
            return _SPLIT_OF[start], ""
    return None, ""
