"""How accuracy changes when similar images are kept on one side of the split.

    python benchmarks/similar_groups.py --data DIR --weights MOBILENETV2_NOTOP.h5 \
        --out benchmarks/results/similar_groups.json

For every threshold, edgekit draws the splits by groups of similar images (``data.split.groups: similar``), with several
split seeds. MobileNetV2 with pretrained weights stays frozen, so its features are computed once; a softmax head is
trained on the training images of each split. Beside it: the nearest neighbour on 48 x 48 grey pixels.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import show, told, write_result

from edgekit.data import open_dataset
from edgekit.data.audit.baselines import baselines
from edgekit.data.audit.fingerprints import fingerprint
from edgekit.data.audit.similarity import similarity_curve
from edgekit.data.dataset import Dataset
from edgekit.device.images import decode_rgb
from edgekit.documents.audit import SimilarityCurve
from edgekit.errors import EdgekitError
from edgekit.recipe import Data

SIDE, BATCH = 224, 64


def features_of(dataset: Dataset, weights: Path, kept: Path | None) -> dict[str, np.ndarray]:
    """By the SHA-256 of an image: MobileNetV2's 1,280 pooled features. ``kept`` stores them for the next time."""
    if kept is not None and kept.is_file():
        with np.load(kept) as stored:
            return dict(zip(stored["sha"].tolist(), stored["features"]))
    import keras

    network = keras.applications.MobileNetV2(
        include_top=False, weights=str(weights), pooling="avg", input_shape=(SIDE, SIDE, 3)
    )
    paths, found = dataset.paths(), []
    for start in range(0, len(paths), BATCH):
        images = [decode_rgb(path).resize((SIDE, SIDE), 2) for path in paths[start : start + BATCH]]
        pixels = np.stack([np.asarray(image, np.float32) for image in images])
        found.append(np.asarray(network(pixels / 127.5 - 1, training=False)))
    table = np.concatenate(found)
    if kept is not None:
        np.savez(kept, features=table, sha=np.array(dataset.sha256))
    return dict(zip(dataset.sha256, table))


def one_split(data: Path, split: dict[str, Any], features: dict[str, np.ndarray]) -> dict[str, Any]:
    """Accuracy of the head and of the nearest neighbour on the test images of one split."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    dataset = open_dataset(Data.model_validate({"path": str(data), "split": {"gate": 0, **split}}))
    table = np.stack([features[sha] for sha in dataset.sha256])
    test, train = dataset.splits == "test", dataset.splits == "train"
    scaler = StandardScaler().fit(table[train])
    head = LogisticRegression(C=0.01, max_iter=100, tol=1e-3).fit(scaler.transform(table[train]), dataset.labels[train])
    right = head.predict(scaler.transform(table[test])) == dataset.labels[test]
    prints = fingerprint(dataset)
    pixels = baselines(prints.grey, dataset.labels, np.flatnonzero(train), np.flatnonzero(test))
    classes = range(len(dataset.classes))
    return {
        "n_train": int(train.sum()),
        "n_test": int(test.sum()),
        "accuracy": float(right.mean()),
        "macro_recall": float(np.mean([right[dataset.labels[test] == c].mean() for c in classes])),
        "nearest_neighbour": None if pixels is None else pixels.nearest_neighbour.accuracy,
        "majority": None if pixels is None else pixels.majority.accuracy,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled images")
    parser.add_argument("--weights", type=Path, required=True, help="MobileNetV2 weights without the top")
    parser.add_argument("--thresholds", default="0,12,16", help="distances in grey levels")
    parser.add_argument("--seeds", type=int, default=2, help="split seeds for each threshold")
    parser.add_argument("--features", type=Path, help="keep the features in this .npz file, or read them from it")
    parser.add_argument("--out", type=Path, help="write the accuracies as JSON")
    arguments = parser.parse_args()
    try:
        dataset = open_dataset(Data(path=str(arguments.data)))
        features = features_of(dataset, arguments.weights, arguments.features)
        prints = fingerprint(dataset)
        curve = similarity_curve(prints.grey, dataset.labels, np.flatnonzero(prints.readable))
        own = one_split(arguments.data, {}, features)
        rows = []
        for threshold in map(float, arguments.thresholds.split(",")):
            split = {"groups": "similar", "similar_within": threshold}
            runs = [one_split(arguments.data, {**split, "seed": s}, features) for s in range(arguments.seeds)]
            rows.append({"threshold": threshold, "splits": runs})
            store(arguments.out, own, rows, curve, len(dataset))
            print(threshold, [round(100 * run["accuracy"], 1) for run in runs], file=sys.stderr, flush=True)
    except EdgekitError as error:
        return told(error)
    table = [["the folder's own test split", *figures([own])]]
    table += [[f"similar within {row['threshold']:g}", *figures(row["splits"])] for row in rows]
    show(["split", "MobileNetV2, %", "nearest neighbour, %", "test images"], table, right=(1, 2, 3))
    return 0


def store(
    out: Path | None, own: dict[str, Any], rows: list[dict[str, Any]], curve: SimilarityCurve | None, n_images: int
) -> None:
    """After every threshold, so that an interrupted benchmark leaves what it has."""
    shown = None if curve is None else curve.model_dump(mode="json")
    document = {"own_split": own, "thresholds": rows, "curve": shown, "n_images": n_images}
    write_result(out, "similar groups", document)


def figures(runs: list[dict[str, Any]]) -> list[str]:
    """Mean and range over the split seeds."""

    def text(name: str) -> str:
        values = [100 * run[name] for run in runs]
        bounds = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
        return f"{np.mean(values):.1f}{bounds}"

    sizes = [run["n_test"] for run in runs]
    return [
        text("accuracy"),
        text("nearest_neighbour"),
        f"{min(sizes)}" + (f" to {max(sizes)}" if len(sizes) > 1 else ""),
    ]


if __name__ == "__main__":
    sys.exit(main())
