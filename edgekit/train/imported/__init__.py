"""Import of a Keras classifier that was made elsewhere: it becomes a run folder, as if edgekit had trained it."""
