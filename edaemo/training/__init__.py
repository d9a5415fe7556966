"""Training of networks: batches, losses, recipes, checkpoints, seeds and threads."""

from edaemo._torch import TrainingError
from edaemo.training._batches import Batch, Batches, Blocks, Sequences, Trials, cut_rows
from edaemo.training._checkpoint import Checkpoint, describe_fit
from edaemo.training._domains import DomainCrossEntropy, DomainSchedule
from edaemo.training._losses import (
    Concordance,
    CrossEntropy,
    SquaredError,
    StepError,
    prediction_of,
)
from edaemo.training._net import (
    ClassifierNet,
    Feed,
    FiniteLoss,
    Net,
    OnRows,
    OnSequences,
    RegressorNet,
    drop_single_target,
    in_memory,
    train,
)
from edaemo.training._recipes import Augmentation, check_augmentation, find_recipe, make_schedule
from edaemo.training._row_groups import find_way
from edaemo.training._specific_shared import SpecificSharedLoss
from edaemo.training._torch import torch_deterministic, torch_seed, torch_threads

__all__ = [
    "Augmentation",
    "Batch",
    "Batches",
    "Blocks",
    "Checkpoint",
    "ClassifierNet",
    "Concordance",
    "CrossEntropy",
    "DomainCrossEntropy",
    "DomainSchedule",
    "Feed",
    "FiniteLoss",
    "Net",
    "OnRows",
    "OnSequences",
    "RegressorNet",
    "Sequences",
    "SpecificSharedLoss",
    "SquaredError",
    "StepError",
    "TrainingError",
    "Trials",
    "check_augmentation",
    "cut_rows",
    "describe_fit",
    "drop_single_target",
    "find_recipe",
    "find_way",
    "in_memory",
    "make_schedule",
    "prediction_of",
    "torch_deterministic",
    "torch_seed",
    "torch_threads",
    "train",
]
