"""Training a finished network on for smaller files: quantization-aware, pruned, clustered; `trainings` does it."""
