"""The runs and the baseline that the tests of the gate share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gate_runs import base, images, models, project, project_of_all, saved  # noqa: F401
