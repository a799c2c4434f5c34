"""Groups of similar images: the curve of the audit, its proposal, and splits that keep groups together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.cli.app import main
from edgekit.data import open_dataset
from edgekit.data.audit.similarity import LARGEST_GROUP, THRESHOLDS, proposed, similar_groups, similarity_curve
from edgekit.documents.audit import AuditDocument, SimilarGroups
from edgekit.errors import InputError
from edgekit.recipe import Data, validate


def recordings(n: int, frames: int, seed: int = 0) -> np.ndarray:
    """(n * frames, 48, 48): each recording is a picture whose frames differ by noise of three grey levels."""
    random = np.random.default_rng(seed)
    pictures = random.integers(20, 236, (n, 1, 6, 6)).repeat(8, axis=2).repeat(8, axis=3).repeat(frames, axis=1)
    noisy = pictures + random.normal(0, 3, (n, frames, 48, 48))
    return np.clip(noisy, 0, 255).astype(np.uint8).reshape(-1, 48, 48)


def folder_of(root: Path, grey: np.ndarray, *, split: bool = False) -> Path:
    """The images in two classes, in turn by recording; ``split``: every other frame is in the test folder."""
    for number, picture in enumerate(grey):
        side = ("test/" if number % 2 else "train/") if split else ""
        place = root / side / f"class{number // 4 % 2}" / f"{number:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).resize((96, 96)).save(place)
    return root


def slow_groups(grey: np.ndarray, threshold: float) -> np.ndarray:
    groups = np.arange(len(grey))
    for i in range(len(grey)):
        for j in range(i):
            if np.sqrt(np.square(grey[i].astype(float) - grey[j]).mean()) <= threshold + 1e-3:
                groups[groups == groups[i]] = groups[j]
    return np.unique(groups, return_inverse=True)[1]


def test_groups_are_those_of_a_slow_implementation() -> None:
    grey = recordings(12, 3)
    for threshold in (0.0, 4.0, 6.0, 60.0, 85.0):
        found = similar_groups(grey, threshold)
        slow = slow_groups(grey, threshold)
        assert len(set(zip(found.tolist(), slow.tolist()))) == len(set(found.tolist())) == len(set(slow.tolist()))


def test_the_nearest_neighbour_falls_when_recordings_are_kept_apart() -> None:
    grey, labels = recordings(30, 4), np.random.default_rng(1).integers(0, 2, 30).repeat(4).astype(np.int32)
    curve = similarity_curve(grey, labels, np.arange(120))
    assert curve is not None
    by = {row.threshold: row for row in curve.thresholds}
    assert tuple(by) == THRESHOLDS
    assert (by[0.0].n_groups, by[0.0].nearest_neighbour) == (120, 1.0)
    assert by[8.0].n_groups == 30
    assert by[8.0].nearest_neighbour < 0.75
    assert by[8.0].largest_group == pytest.approx(4 / 120)
    assert curve.proposed == 32.0  # groups of 3.3% stay below the limit at every threshold


def test_the_proposal_is_the_largest_threshold_without_a_large_group() -> None:
    def row(threshold: float, largest: float) -> SimilarGroups:
        return SimilarGroups(threshold=threshold, n_groups=9, largest_group=largest, nearest_neighbour=0.9)

    assert proposed([row(0, 0.01), row(2, LARGEST_GROUP), row(4, 0.06)]) == 2
    assert proposed([row(0, 0.5), row(2, 0.6)]) == 0


def test_images_without_another_group_are_not_predicted() -> None:
    grey = np.zeros((4, 48, 48), np.uint8)
    curve = similarity_curve(grey, np.zeros(4, np.int32), np.arange(4))
    assert curve is not None
    assert (curve.thresholds[0].n_groups, curve.thresholds[0].nearest_neighbour) == (1, 0.0)
    assert similarity_curve(grey, np.zeros(4, np.int32), np.arange(1)) is None


@pytest.mark.parametrize("split", [False, True])
def test_a_split_keeps_recordings_together(tmp_path: Path, split: bool) -> None:
    root = folder_of(tmp_path / "photos", recordings(24, 4), split=split)
    mixed = open_dataset(Data(path=str(root)))
    apart = open_dataset(Data.model_validate({"path": str(root), "split": {"groups": "similar", "similar_within": 8}}))

    def recordings_in_two_splits(dataset: object) -> int:
        sides: dict[int, set[str]] = {}
        for file, side in zip(dataset.files, dataset.splits.tolist()):  # type: ignore[attr-defined]
            sides.setdefault(int(Path(file).stem) // 4, set()).add(side)
        return sum(len(found) > 1 for found in sides.values())

    assert recordings_in_two_splits(mixed) > 5
    assert recordings_in_two_splits(apart) == 0
    assert set(apart.splits.tolist()) == {"train", "val", "test"}
    assert "24 groups of similar images (up to 8 grey levels apart) kept together" in apart.layout


def test_the_audit_shows_the_curve_and_the_proposal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path / "photos", recordings(24, 4))
    with pytest.raises(SystemExit):
        main(["data", "audit", str(root)])
    text = capsys.readouterr().out
    assert "nearest neighbour of another group" in text
    assert "data.split.groups: similar" in text
    with pytest.raises(SystemExit):
        main(["data", "audit", str(root), "--json"])
    stored = json.loads(capsys.readouterr().out)
    assert stored["similarity"]["thresholds"][0]["threshold"] == 0
    older = {key: value for key, value in stored.items() if key != "similarity"} | {"schema_version": 2}
    assert AuditDocument.parse(older, "audit.json").similarity is None


@pytest.mark.parametrize(
    "split", [{"similar_within": 8}, {"groups": "similar", "dedupe": True}, {"groups": "similar", "similar_within": -1}]
)
def test_settings_that_do_not_fit_are_refused(split: dict[str, object]) -> None:
    with pytest.raises(InputError):
        validate({"data": {"split": split}}, "test")
