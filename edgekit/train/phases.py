"""The training phases of each strategy: which layers they train, and on what."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from edgekit.documents.run import PhaseRecord
from edgekit.recipe import Phase
from edgekit.recipe.section import PhaseName
from edgekit.support.progress import Progress
from edgekit.train import network as net
from edgekit.train.checkpoint import PhaseState
from edgekit.train.feed import Feed
from edgekit.train.first_epoch import PhaseEnd
from edgekit.train.frozen_layers import view_store
from edgekit.train.head_features import head_features
from edgekit.train.layer_groups import LayerGroups
from edgekit.train.loop import PhaseJob, run_phase
from edgekit.train.outputs import Begin, StoredFeatures, network_outputs
from edgekit.train.run_context import RunContext
from edgekit.train.start_from import load_start


def feature_extraction(context: RunContext, progress: Progress) -> PhaseRecord:
    """Train the head on the frozen backbone.

    The backbone is computed once for images that do not change: always for the validation split, and for the training
    split if it is neither augmented nor mixed. With ``views`` it is computed once for each copy of the training split.
    """
    phase = context.recipe.train.feature_extraction
    net.freeze_backbone(context.network)
    context.set_dropout(phase)
    record = _finished(context, "feature-extraction", phase, progress) or _from_other_run(context, progress)
    if record is not None:
        return record
    head, extractor = net.head_model(context.network), net.feature_model(context.network)
    started = time.perf_counter()
    with context.times.measure("features"):
        outputs = head_features(context, head, extractor, progress)
    feature_seconds = time.perf_counter() - started
    record = _run(
        context,
        "feature-extraction",
        phase,
        outputs.start_validation,
        progress,
        stored=outputs.stored,
        spent_seconds=feature_seconds,
    )
    context.predict_rows = outputs.predict_rows
    return record.model_copy(update={"feature_seconds": feature_seconds})


def fine_tuning(context: RunContext, progress: Progress) -> PhaseRecord:
    """Train the head and the last layers of the backbone.

    The frozen layers are computed once for each view, if the recipe has ``views``, and on a CPU if images do not
    change.
    """
    phase = context.recipe.train.fine_tuning
    opened = net.open_last_layers(context.network, phase)
    groups = LayerGroups.of(opened, phase)
    context.set_dropout(phase)
    record = _finished(context, "fine-tuning", phase, progress)
    if record is None:
        store = view_store(context, opened, progress)
        started = time.perf_counter()
        with context.times.measure("features"):
            outputs = network_outputs(context) if store is None else store.outputs(context, progress)
        seconds = time.perf_counter() - started
        record = _run(
            context,
            "fine-tuning",
            phase,
            outputs.start_validation,
            progress,
            first_epoch=context.recipe.train.feature_extraction.epochs,
            stored=outputs.stored,
            groups=groups,
            spent_seconds=seconds,
        )
        context.predict_rows = outputs.predict_rows
        if store is not None:
            found = {"feature_seconds": seconds, "stored_layer": store.network.last_frozen, "views": store.n_views}
            record = record.model_copy(update=found)
    return record.model_copy(
        update={"opened_layers": tuple(opened), "layer_groups": None if groups is None else groups.of_layer}
    )


def from_scratch(context: RunContext, progress: Progress) -> PhaseRecord:
    """Train every layer from random weights."""
    phase = context.recipe.train.from_scratch
    net.open_all_layers(context.network, phase.batchnorm_momentum)
    context.set_dropout(phase)
    record = _finished(context, "from-scratch", phase, progress)
    if record is None:
        outputs = network_outputs(context)
        record = _run(context, "from-scratch", phase, outputs.start_validation, progress)
        context.predict_rows = outputs.predict_rows
    return record


STRATEGY_PHASES: dict[str, tuple[Callable[[RunContext, Progress], PhaseRecord], ...]] = {
    "feature-extraction": (feature_extraction,),
    "fine-tuning": (feature_extraction, fine_tuning),
    "from-scratch": (from_scratch,),
}


def _finished(context: RunContext, name: PhaseName, phase: Phase, progress: Progress) -> PhaseRecord | None:
    """The record of a phase that was finished before an interrupt; loads its weights into the network."""
    state = context.checkpoint(name).finish(context.network)
    if state is None:
        return None
    context.keep_history(name, state.history)
    progress.info(f"{name}: already finished, {state.epochs_run} epochs")
    return _record(context, name, phase, state)


def _from_other_run(context: RunContext, progress: Progress) -> PhaseRecord | None:
    """The record of the feature extraction that ``train.start_from`` names; loads its weights into the network."""
    if context.recipe.train.start_from is None:
        return None
    start = load_start(context.recipe, context.dataset, context.network)
    context.keep_history("feature-extraction", start.history)
    progress.info(f"feature-extraction: taken from {context.recipe.train.start_from}")
    return start.record


def _run(
    context: RunContext,
    name: PhaseName,
    phase: Phase,
    start_validation: Begin,
    progress: Progress,
    *,
    first_epoch: int = 0,
    stored: StoredFeatures | None = None,
    groups: LayerGroups | None = None,
    spent_seconds: float = 0.0,
) -> PhaseRecord:
    """Run the training loop of one phase on stored features, or on the images."""
    context.predictions.clear()
    feed = Feed.of(context, name, phase, first_epoch, stored, progress)
    job = PhaseJob(
        name=name,
        network=context.network,
        fitter=feed.fitter(),
        phase=phase,
        train=context.recipe.train,
        val_labels=context.dataset.labels[context.val_rows],
        start_validation=start_validation,
        checkpoint=context.checkpoint(name),
        predictions=context.predictions,
        history=context.history,
        on_history=context.on_history,
        times=context.times,
        first_epoch=first_epoch,
        groups=groups,
        before=_previous_end(context, name),
        spent_seconds=spent_seconds,
    )
    return _record(context, name, phase, run_phase(job, progress))


def _previous_end(context: RunContext, name: PhaseName) -> PhaseEnd | None:
    """How feature extraction ended, for the phase that follows it."""
    if name != "fine-tuning":
        return None
    return PhaseEnd.of(context.history.get("feature-extraction", []), context.recipe.train.early_stopping.monitor)


def _record(context: RunContext, name: PhaseName, phase: Phase, state: PhaseState) -> PhaseRecord:
    trainable = [layer for layer in context.network.layers if layer.trainable and layer.trainable_variables]
    return PhaseRecord(
        name=name,
        epochs=phase.epochs,
        epochs_run=state.epochs_run,
        best_epoch=state.best_epoch + 1,
        stopped_early=state.stopped_early,
        seconds=state.seconds,
        images_per_second=state.images / state.seconds if state.seconds else None,
        trainable_parameters=sum(int(np.prod(v.shape)) for layer in trainable for v in layer.trainable_variables),
        trainable_layers=len(trainable),
        learning_rate=state.learning_rate or phase.learning_rate,
        warnings=tuple(state.warnings),
    )
