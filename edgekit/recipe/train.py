"""How the network is trained, phase by phase."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgekit.recipe.augment import Augment, Mix
from edgekit.recipe.section import Count, Fraction, PathText, PhaseName, Section, Seed, Strategy


class Phase(Section):
    """One training phase."""

    epochs: Count = 10
    """Number of epochs (at least 1). Early stopping may end the phase sooner."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    """Initial learning rate of Adam (above 0)."""
    schedule: Literal["plateau", "cosine"] = "plateau"
    """How the learning rate changes. ``plateau``: constant, then lowered as ``train.reduce_lr`` says. ``cosine``: falls
    to 0 over the epochs of the phase, a little in every step (Loshchilov and Hutter 2017); better for few epochs."""
    dropout: Fraction | None = None
    """Dropout rate of the head in this phase (0 to 1). ``null`` uses ``model.head.dropout``."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Number of epochs over which the learning rate rises linearly from 0 (0 or more; 0.5 is half an epoch)."""


class FeatureExtraction(Phase):
    """The phase that trains the head while the backbone is frozen."""

    views: Count | None = None
    """With augmentation: how many copies of the training images pass through the frozen backbone, once each (at least
    1). The first copy is unchanged, the others are augmented, and the epochs use them in turn. ``null`` augments anew
    in every epoch and computes the backbone each time."""


class FineTuning(Phase):
    """The second phase of ``fine-tuning``, which also trains the last layers of the backbone.

    Exactly one of ``last_stage``, ``last_layers``, ``from_layer``, ``from_block`` and ``fraction`` says which layers.
    ``edgekit list backbones --layers NAME`` shows what each of them means for a backbone.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Initial learning rate of Adam (above 0)."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Number of epochs over which the learning rate rises linearly from 0 (0 or more; 0.5 is half an epoch). Without
    it, the first steps of Adam are large enough to destroy pretrained weights."""
    check_learning_rate: bool = True
    """Whether to try the learning rate before the phase: a few steps, which are undone. While they make the validation
    loss measurably worse, the phase uses a third of the learning rate, down to a hundredth or so, with a warning."""
    last_stage: bool = True
    """Whether to train the last stage: the layers at the end that work at the lowest resolution of the backbone, such
    as block5 of VGG16 or conv5 of ResNet50V2. This is the same depth in every backbone."""
    last_layers: Count | None = None
    """Number of layers at the end of the backbone to train (at least 1), counted as Keras does, including layers
    without weights."""
    from_layer: str | None = None
    """Name of the first backbone layer to train; all later layers are trained too."""
    from_block: str | None = None
    """Block to start at, such as ``conv5``: the first layer with this name, or whose name starts with it and ``_``."""
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """Fraction of the backbone layers to train (above 0, up to 1), counted from the end and rounded up to a whole
    layer. 1 trains all of them."""
    views: Count | None = None
    """How many times the training images pass through the frozen layers (at least 1), each time augmented as in another
    epoch. The outputs of the frozen layers are stored on disk, and the epochs use them in turn, so that a step computes
    only the layers that are trained. ``null`` augments anew and computes every layer in each epoch. Without
    augmentation, a CPU always stores one view, if it fits on the disk."""
    view_storage: Literal["float16", "float32"] = "float16"
    """Number format of the stored outputs of the frozen layers. ``float32`` takes twice the space and is exact."""
    max_view_gb: Annotated[float, Field(gt=0)] | None = None
    """Largest size of the stored outputs in gigabytes (above 0). ``null`` allows 80 % of the free disk space."""
    train_batchnorm: bool = False
    """Whether to train BatchNorm layers of the backbone. If false, they stay in inference mode and keep their
    pretrained statistics."""
    groups: Count = 1
    """Number of groups of about equal size that the trained backbone layers are divided into (at least 1), for the two
    settings below. The head is a separate group."""
    rate_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Discriminative learning rates: the learning rate of a group, relative to that of the group after it (above 0, up
    to 1)."""
    unfreeze_every: Count | None = None
    """Gradual unfreezing: the last group is trained from the first epoch, and one more group joins after this many
    epochs each (at least 1). ``null`` trains all groups from the start."""

    @model_validator(mode="before")
    @classmethod
    def _drop_default_choice(cls, values: object) -> object:
        """``last_stage`` has a default, which must not compete with a choice that was made."""
        if isinstance(values, dict) and any(values.get(choice) is not None for choice in LAYER_CHOICES[1:]):
            return {"last_stage": False, **values}
        return values

    @model_validator(mode="after")
    def _one_choice(self) -> FineTuning:
        given = [choice for choice in LAYER_CHOICES if getattr(self, choice) not in (None, False)]
        if len(given) > 1:
            raise ValueError(
                f"give only one of {', '.join(LAYER_CHOICES)}, not {' and '.join(given)} (null removes a setting)"
            )
        if not given:
            raise ValueError(f"say which layers to train: give one of {', '.join(LAYER_CHOICES)}")
        return self

    @model_validator(mode="after")
    def _groups_fit(self) -> FineTuning:
        if self.groups == 1 and self.unfreeze_every is not None:
            raise ValueError("unfreeze_every adds one group after another, so it needs at least 2 groups")
        if self.unfreeze_every is not None and self.unfreeze_every * (self.groups - 1) >= self.epochs:
            raise ValueError(
                f"the last of {self.groups} groups would start to train after "
                f"{self.unfreeze_every * (self.groups - 1)} epochs, but there are only {self.epochs} epochs; "
                "use fewer groups or a smaller unfreeze_every"
            )
        return self


LAYER_CHOICES = ("last_stage", "last_layers", "from_layer", "from_block", "fraction")
"""The settings of :class:`FineTuning` that say which layers are trained."""


class FromScratch(Phase):
    """The only phase of ``from-scratch``, which trains every layer."""

    epochs: Count = 30
    """Number of epochs (at least 1). Early stopping may end the phase sooner."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Initial learning rate of Adam (above 0)."""
    batchnorm_momentum: Fraction = 0.9
    """Momentum of the BatchNorm layers of the backbone (0 to 1). The ImageNet models of Keras use 0.99 to 0.999, which
    needs thousands of steps before inference mode is accurate."""


class EarlyStopping(Section):
    """Ends a phase when the monitored value stops improving. The best weights are restored in any case."""

    enabled: bool = True
    """Whether to stop early."""
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """Value that has to improve. It also decides which weights are the best."""
    patience: Count = 5
    """Number of epochs without improvement after which the phase ends (at least 1)."""


class ReduceLR(Section):
    """Lowers the learning rate when the validation loss stops improving (with ``schedule: plateau``)."""

    enabled: bool = True
    """Whether to lower the learning rate."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor that the learning rate is multiplied by (between 0 and 1)."""
    patience: Count = 2
    """Number of epochs without improvement after which the learning rate is lowered (at least 1)."""
    min_learning_rate: Annotated[float, Field(ge=0)] = 1e-6
    """Lower limit of the learning rate (0 or more)."""


class Train(Section):
    """How the network is trained."""

    strategy: Strategy = "fine-tuning"
    """``feature-extraction`` trains only the head; ``fine-tuning`` then also trains the last layers of the backbone;
    ``from-scratch`` trains every layer from random weights. If it is left out, ``model.weights: none``
    selects ``from-scratch``."""
    seed: Seed = 0
    """Seed of all random choices in training (0 to 2**31 - 1)."""
    batch_size: Count = 32
    """Images per step (at least 1)."""
    label_smoothing: Fraction = 0.0
    """Fraction of each label that is spread evenly over all classes (0 to 1)."""
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced`` weights images so that every class contributes equally to the loss."""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    """Keras dtype policy for training. The trained model is saved in float32. ``mixed_float16`` requires a GPU."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train. ``auto`` uses a GPU if there is one; ``gpu`` fails if there is none."""
    batches: Literal["auto", "host", "device"] = "auto"
    """Where batches are put together and augmented. ``device``: on the processor that trains, many steps at a time,
    from images that stay in its memory if they fit. ``host``: on the CPU, during the step before. ``auto`` uses the
    device if it is a GPU."""
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    """Time limit of each phase in seconds (above 0). The phase ends with the epoch in which its time runs out. ``null``
    sets no limit."""
    start_from: PathText | None = None
    """For ``fine-tuning`` only: the folder of a finished ``feature-extraction`` run with the same settings, whose head
    is used instead of training one."""
    augment: Augment = Augment()
    """Random changes to single training images."""
    mix: Mix = Mix()
    """Mixing of pairs of training images."""
    feature_extraction: FeatureExtraction = FeatureExtraction()
    """The phase that trains the head."""
    fine_tuning: FineTuning = FineTuning()
    """The phase that also trains the last layers of the backbone."""
    from_scratch: FromScratch = FromScratch()
    """The phase that trains every layer from random weights."""
    early_stopping: EarlyStopping = EarlyStopping()
    """When to end a phase early."""
    reduce_lr: ReduceLR = ReduceLR()
    """When to lower the learning rate."""

    def phases(self) -> dict[PhaseName, Phase]:
        """The phases of the strategy, in order."""
        if self.strategy == "from-scratch":
            return {"from-scratch": self.from_scratch}
        phases: dict[PhaseName, Phase] = {"feature-extraction": self.feature_extraction}
        if self.strategy == "fine-tuning":
            phases["fine-tuning"] = self.fine_tuning
        return phases

    @model_validator(mode="after")
    def _views_fit(self) -> Train:
        for name, phase in self.phases().items():
            if not isinstance(phase, (FeatureExtraction, FineTuning)) or phase.views is None:
                continue
            key = f"{name.replace('-', '_')}.views"
            if self.mix.active_in(name):
                raise ValueError(
                    f"{key} stores features of single images, but mix combines the pixels of two; "
                    f"set {key}: null, or leave {name} out of mix.phases"
                )
            if self.augment.randaugment:
                raise ValueError(
                    f"{key} stores features, but augment.randaugment changes images in the training step; "
                    f"set {key}: null, or randaugment: 0"
                )
        return self

    @model_validator(mode="after")
    def _mix_fits(self) -> Train:
        mixed = {name: phase for name, phase in self.phases().items() if self.mix.active_in(name)}
        if mixed and self.batch_size == 1:
            raise ValueError("mix combines the images of a batch, so batch_size must be at least 2")
        for name, phase in mixed.items():
            if self.mix.off_last_epochs >= phase.epochs:
                raise ValueError(
                    f"mix.off_last_epochs is {self.mix.off_last_epochs}, so none of the {phase.epochs} epochs of "
                    f"{name} would be mixed; use a smaller number, or leave {name} out of mix.phases"
                )
        return self
