"""The recipe: every setting of a run, checked before slow work starts. Unknown keys and wrong types are errors.

Each section has its own module. ``recipe.py`` puts them together and ``reading.py`` reads them from a file.
"""

from edgekit.recipe.augment import Augment as Augment
from edgekit.recipe.augment import CutMix as CutMix
from edgekit.recipe.augment import Mix as Mix
from edgekit.recipe.augment import MixUp as MixUp
from edgekit.recipe.compress import Clustering as Clustering
from edgekit.recipe.compress import CompressionTraining as CompressionTraining
from edgekit.recipe.compress import Pruning as Pruning
from edgekit.recipe.compress import Qat as Qat
from edgekit.recipe.data import Data as Data
from edgekit.recipe.data import Split as Split
from edgekit.recipe.export import Calibration as Calibration
from edgekit.recipe.export import Export as Export
from edgekit.recipe.measure import Bench as Bench
from edgekit.recipe.measure import Robustness as Robustness
from edgekit.recipe.model import Head as Head
from edgekit.recipe.model import Model as Model
from edgekit.recipe.reading import apply_settings as apply_settings
from edgekit.recipe.reading import assign as assign
from edgekit.recipe.reading import differences as differences
from edgekit.recipe.reading import load_recipe as load_recipe
from edgekit.recipe.reading import other_work as other_work
from edgekit.recipe.reading import parse_setting as parse_setting
from edgekit.recipe.reading import shipped_recipes as shipped_recipes
from edgekit.recipe.reading import validate as validate
from edgekit.recipe.recipe import Recipe as Recipe
from edgekit.recipe.section import Section as Section
from edgekit.recipe.study import CORRUPTED as CORRUPTED
from edgekit.recipe.study import DIFFERENCES as DIFFERENCES
from edgekit.recipe.study import Budget as Budget
from edgekit.recipe.study import Choose as Choose
from edgekit.recipe.study import Claim as Claim
from edgekit.recipe.study import Compare as Compare
from edgekit.recipe.study import Constraint as Constraint
from edgekit.recipe.study import Reported as Reported
from edgekit.recipe.study import Side as Side
from edgekit.recipe.study import constraint_of as constraint_of
from edgekit.recipe.train import FeatureExtraction as FeatureExtraction
from edgekit.recipe.train import FineTuning as FineTuning
from edgekit.recipe.train import FromScratch as FromScratch
from edgekit.recipe.train import Phase as Phase
from edgekit.recipe.train import Train as Train
from edgekit.recipe.yaml_text import parse_yaml as parse_yaml
