"""What an earlier benchmark of the same file on the same target left.

Accuracy and latency need not be measured at the same time.
"""

from __future__ import annotations

from edgekit.bench.accuracy import Predictions
from edgekit.bench.evaluation_images import ImageSet
from edgekit.bench.inspection import InspectedTarget
from edgekit.bench.measured_model import MeasuredModel
from edgekit.device.images import DECODER
from edgekit.documents.arrays import read_predictions
from edgekit.documents.bench import BenchDocument, BenchResult
from edgekit.errors import EdgekitError, InputError


def earlier_result(model: MeasuredModel, target: str) -> BenchResult | None:
    """The stored result of the same file; None if there is none, or none that opens."""
    path = model.result_path(target)
    if not path.is_file():
        return None
    try:
        result = BenchResult.read(path)
    except EdgekitError:
        return None
    return result if result.bench.sha256 == model.sha256 else None


def stored_predictions(result: BenchResult, images: ImageSet) -> Predictions | None:
    """The predictions of a result; None if it has none, or of other images."""
    accuracy, path = result.bench.accuracy, result.predictions_path()
    if accuracy is None or path is None:
        return None
    try:
        stored = read_predictions(path, classes=len(images.classes))
    except InputError:
        return None
    if stored.files != tuple(images.files) or stored.labels.tolist() != images.labels.tolist():
        return None
    return Predictions(stored.probabilities, accuracy.activation, accuracy.decoder)


def is_repeatable(bench: BenchDocument, model: MeasuredModel, target: InspectedTarget) -> bool:
    """Whether scoring again would give the same predictions: the target has the same runtime and image decoder."""
    if bench.accuracy is None or bench.runtime != target.runtimes.get(model.id):
        return False
    program = DECODER.rpartition(" ")[0]
    return bench.accuracy.decoder == f"{program} {target.environment.versions.get('Pillow')}"
