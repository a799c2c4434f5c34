"""Weight clustering: a kernel gets few different values, which are trained on."""

from __future__ import annotations

from typing import Any

from edgekit.export.compress.channel_equalization import with_even_channels, with_weights_of_even
from edgekit.export.compress.checkpoint import Unfinished
from edgekit.export.compress.fine_tuning import Lessons, fine_tune
from edgekit.export.compress.pruning import large_kernels
from edgekit.export.compress.tf_keras_copy import PlainNetwork
from edgekit.recipe import Clustering
from edgekit.support.progress import Progress
from edgekit.support.quiet import quiet_native_output


def clustered(
    network: PlainNetwork, lessons: Lessons, settings: Clustering, progress: Progress, unfinished: Unfinished
) -> tuple[PlainNetwork, dict[str, Any]]:
    """The clustered network, and the record of its training. Values begin where k-means++ puts them."""
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
        model = tf_keras.models.clone_model(with_even_channels(network).build(tf_keras), clone_function=wrapped)
    record = fine_tune(model, lessons, settings, "clustering", progress, unfinished)
    return with_weights_of_even(network, keras.strip_clustering(model)), {**record, "layers": sorted(chosen)}
