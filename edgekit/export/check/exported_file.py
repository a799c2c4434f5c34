"""All checks of one exported file, run with the runtime of a target: parity, gate, input, operators, golden outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.device.failures import DeviceError
from edgekit.device.runtimes import Model
from edgekit.documents.export import GoldenRecord, InputTensor, OutputTensor, ParityRecord
from edgekit.documents.folders import ExportFolder
from edgekit.documents.gate import GateRecord, gate_record
from edgekit.export.base import ExportFacts, OperatorTable, Probabilities
from edgekit.export.check.compression_agreement import compare_with_trained
from edgekit.export.check.findings import Findings
from edgekit.export.check.parity import compare, open_exported, predict, top_classes_without_xnnpack
from edgekit.export.sample_images import Samples
from edgekit.registry import Scheme
from edgekit.render.gate import gate_text, undecided_text
from edgekit.stats.noninferiority import FAILED, UNDECIDED, GateLimits
from edgekit.support.files import sha256_file

GOLDEN_IMAGES = 8


@dataclass(frozen=True)
class Reference:
    """What every file of a run is compared with: ``keras`` are the predictions (N, classes) on ``parity``.

    ``limits`` are those of the accuracy gate; None: no gate. ``judged`` are the positions in ``parity`` of the images
    that the gate judges on; None: all. A repaired file is judged on images that did not choose the repair.
    """

    facts: ExportFacts
    parity: Samples
    keras: Probabilities
    limits: GateLimits | None = None
    judged: NDArray[np.int64] | None = None
    n_by_keras: int | None = None
    """For how many images the Keras model itself was run; None: all. The fp32 file, which gave the same for these,
    classified the others."""

    def gate(self, exported: Probabilities) -> GateRecord:
        """The accuracy gate of a file that predicts ``exported`` (N, classes) for all parity images."""
        assert self.limits is not None
        chosen = np.arange(len(self.parity)) if self.judged is None else self.judged
        files = self.parity.files
        return gate_record(
            self.keras.argmax(axis=1)[chosen],
            exported.argmax(axis=1)[chosen],
            self.parity.labels[chosen],
            (self.parity.dataset.classes, [files[i] for i in chosen.tolist()]),
            self.limits,
            split="gate" if self.parity.split == "gate" else "val",
        )


@dataclass(frozen=True)
class FileCheck:
    """The result of all checks of one exported file. ``input`` to ``golden`` are None if it could not be run."""

    size_bytes: int
    sha256: str
    operators: OperatorTable
    parity: ParityRecord
    findings: Findings
    input: InputTensor | None = None
    output: OutputTensor | None = None
    gate: GateRecord | None = None
    golden: GoldenRecord | None = None

    def with_findings(self, more: Findings) -> FileCheck:
        """The same result with ``more`` findings."""
        return replace(self, findings=self.findings + more)


def check_file(
    path: Path,
    scheme: Scheme,
    operators: OperatorTable,
    reference: Reference,
    *,
    float_layers: bool = False,
    trained: Probabilities | None = None,
) -> FileCheck:
    """Run the file on the parity images, and save the golden and parity files beside it.

    ``float_layers``: a repair left layers in float on purpose. ``trained`` (N, classes) are the predictions of the
    compressed network that the file was made from, on the same images.
    """
    size_bytes, sha256 = path.stat().st_size, sha256_file(path)
    findings = _operator_findings(scheme, operators, float_layers=float_layers)
    not_run = FileCheck(size_bytes, sha256, operators, ParityRecord(split=reference.parity.split, n_images=0), findings)
    try:
        pool = open_exported(path)
    except DeviceError as error:
        return replace(not_run, findings=Findings((error.reason,)) + findings)
    model = pool.first.model
    opened = replace(not_run, input=_input(model), output=_output(model))
    try:
        exported = predict(pool, reference.parity.pixels)
    except DeviceError as error:
        return replace(opened, findings=Findings((error.reason,)) + findings)
    parity, parity_findings = _parity(path, scheme, exported, reference, trained)
    gate, gate_findings = _gate(scheme, exported, reference)
    return replace(
        opened,
        parity=parity,
        findings=parity_findings + _input_findings(model, reference.facts) + gate_findings + findings,
        gate=gate,
        golden=_save_predictions(ExportFolder(path.parent), reference, exported),
    )


def _parity(
    path: Path, scheme: Scheme, exported: Probabilities, reference: Reference, trained: Probabilities | None
) -> tuple[ParityRecord, Findings]:
    parity = reference.parity
    record, findings = compare(reference.keras, exported, parity.labels, scheme.name, parity.split)
    if reference.n_by_keras not in (None, len(parity)):
        record = record.model_copy(update={"n_by_keras": reference.n_by_keras})
    if trained is None:
        return record, findings
    other_kernels = partial(top_classes_without_xnnpack, path, parity.pixels)
    agreement, more = compare_with_trained(trained, exported, scheme, other_kernels)
    return record.model_copy(update={"trained": agreement}), findings + more


def _operator_findings(scheme: Scheme, operators: OperatorTable, *, float_layers: bool) -> Findings:
    """An int8 TFLite file must not contain float operators, unless a repair put them there."""
    integers = scheme.format == "tflite" and scheme.precision == "int8" and not float_layers
    if not integers or operators.integer_only:
        return Findings()
    return Findings((f"the file contains float operators: {', '.join(operators.floats)}",))


def _gate(scheme: Scheme, exported: Probabilities, reference: Reference) -> tuple[GateRecord | None, Findings]:
    """The accuracy gate. An fp32 file needs none, because it has to give the same probabilities."""
    if reference.limits is None or scheme.name == "fp32":
        return None, Findings()
    gate = reference.gate(exported)
    findings = Findings()
    if gate.status == FAILED:
        findings = Findings((gate_text(gate),))
    elif gate.status == UNDECIDED:
        findings = Findings(warnings=(undecided_text(gate),))
    return gate, findings


def _input(model: Model) -> InputTensor:
    given = model.input
    return InputTensor(name=given.name, dtype=given.dtype, shape=tuple(given.shape), layout=given.layout)


def _output(model: Model) -> OutputTensor:
    made = model.output
    quantized = bool(made.scale)
    return OutputTensor(
        name=made.name,
        dtype=made.dtype,
        shape=(1,) if made.classes is None else (1, made.classes),
        scale=made.scale if quantized else None,
        zero_point=made.zero_point if quantized else None,
    )


def _input_findings(model: Model, facts: ExportFacts) -> Findings:
    """Every exported file must take unscaled pixels."""
    side, given = facts.image_size, model.input
    problems = []
    if given.dtype != "uint8" or given.shape != (1, side, side, 3):
        problems.append(f"the input is {given.dtype} {given.shape}, not uint8 (1, {side}, {side}, 3)")
    if given.scale is not None and (given.scale != 1.0 or given.zero_point != 0):
        problems.append(
            f"the input is quantized with scale {given.scale} and zero point {given.zero_point}, not 1 and 0"
        )
    return Findings(tuple(problems))


def _save_predictions(export: ExportFolder, reference: Reference, exported: Probabilities) -> GoldenRecord:
    parity = reference.parity
    chosen = np.linspace(0, len(parity) - 1, min(GOLDEN_IMAGES, len(parity)), dtype=np.int64)
    np.savez_compressed(export.golden, inputs=parity.pixels[chosen], outputs=exported[chosen])
    np.savez_compressed(
        export.predictions,
        indices=parity.positions,
        files=np.array(parity.files),
        labels=parity.labels,
        keras=reference.keras,
        exported=exported,
    )
    return GoldenRecord(n_images=len(chosen), file=export.golden.name)
