"""Frozen layers as a graph of constants, in which TensorFlow folds batch normalization into convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from numpy.typing import NDArray

Values = NDArray[Any]


class ConstantModel:
    """``model`` with its present weights, in inference mode under TensorFlow.

    On a CPU, MobileNetV2 takes three quarters of the time of the Keras model: the outputs of a convolution are not
    written and read again for its batch normalization. They differ by rounding only.
    """

    def __init__(self, model: keras.Model) -> None:
        import tensorflow as tf
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
        def outputs(images: tf.Tensor) -> tf.Tensor:
            return model(images, training=False)

        given = tf.TensorSpec((None, *model.input.shape[1:]), tf.float32)
        self._run = convert_variables_to_constants_v2(tf.function(outputs).get_concrete_function(given))

    def predict_on_batch(self, images: Values) -> Values:
        """Outputs (N, ...) for ``images`` (N, H, W, 3) in 0-255."""
        import tensorflow as tf

        with _rewriting_graphs():
            (found,) = self._run(tf.constant(images, tf.float32))
        values: Values = found.numpy()
        return values


@contextmanager
def _rewriting_graphs() -> Iterator[None]:
    """Let TensorFlow rewrite the graphs that run in this block, which :mod:`edgekit.train.backend` has turned off."""
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def fastest_form(model: keras.Model, *, on_cpu: bool) -> keras.Model | ConstantModel:
    """What computes the outputs of a frozen ``model`` fastest."""
    plain = {layer.compute_dtype for layer in model.layers} == {"float32"}
    if keras.backend.backend() != "tensorflow" or not on_cpu or not plain:
        return model
    return ConstantModel(model)
