"""The regression gate: saves a baseline of exported files, measures new files, and judges them against it."""
