"""Weight clustering: a kernel gets few different values, which are trained on."""

from __future__ import annotations

from typing import Any

from edgekit.export.further.even import with_even_channels, with_weights_of_even
from edgekit.export.further.finetune import Lessons, fine_tune
from edgekit.export.further.plain import PlainNetwork
from edgekit.export.further.pruning import large_kernels
from edgekit.export.further.unfinished import Unfinished
from edgekit.progress import Progress
from edgekit.quiet import quiet_native_output
from edgekit.recipe import Clustering


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
