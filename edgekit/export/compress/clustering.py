"""Weight clustering: each kernel gets few distinct values, and fine-tuning moves those values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgekit.export.compress.channel_equalization import with_equalized_channels, with_trained_weights
from edgekit.export.compress.checkpoint import Checkpoint
from edgekit.export.compress.fine_tuning import FineTuned, TrainingImages, fine_tune
from edgekit.export.compress.pruning import large_kernels
from edgekit.export.compress.tf_keras_copy import PortableNetwork
from edgekit.recipe import Clustering
from edgekit.support.progress import Progress
from edgekit.support.quiet import quiet_native_output


def cluster(
    network: PortableNetwork, images: TrainingImages, settings: Clustering, progress: Progress, checkpoint: Checkpoint
) -> tuple[PortableNetwork, FineTuned]:
    """The clustered network and how its training went. k-means++ chooses the initial centroids."""
    import tensorflow_model_optimization as optimization
    import tf_keras

    keras = optimization.clustering.keras
    small = {layer.name for layer in network.layers if layer.weights and layer.weights[0].size <= settings.clusters}
    chosen = large_kernels(network) - small

    def wrapped(layer: Any) -> Any:
        if layer.name not in chosen:
            return layer
        return keras.cluster_weights(
            layer,
            number_of_clusters=settings.clusters,
            cluster_centroids_init=keras.CentroidInitialization.KMEANS_PLUS_PLUS,
        )

    with quiet_native_output():
        model = tf_keras.models.clone_model(with_equalized_channels(network).build(tf_keras), clone_function=wrapped)
    tuned = fine_tune(model, images, settings, "clustering", progress, checkpoint)
    return with_trained_weights(network, keras.strip_clustering(model)), replace(tuned, layers=tuple(sorted(chosen)))
