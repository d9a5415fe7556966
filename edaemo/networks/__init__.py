"""Networks as plain torch modules, one file per paper, without scikit-learn or skorch."""

from edaemo._torch import NETWORKS
from edaemo.networks._aimstf import AIMSTF
from edaemo.networks._alexnet2d import AlexNet2D
from edaemo.networks._cnn import FeatureCNN
from edaemo.networks._dcnn import DCNN
from edaemo.networks._declaration import (
    CONSTANT,
    COSINE,
    TASKS,
    BlockNames,
    Declaration,
    Layer,
    Recipe,
    blocks_of,
    declaration_of,
    inputs_of,
    inputs_of_pipeline,
    needed_blocks,
    sizes_of,
    takes_blocks,
    takes_mask,
)
from edaemo.networks._deepvanet import DeepVANetBio
from edaemo.networks._domain import DomainHead
from edaemo.networks._fast import fast_paths, prefers_fast
from edaemo.networks._head import Head, filled_up
from edaemo.networks._inception_time import InceptionTime
from edaemo.networks._machot import MachotCNN
from edaemo.networks._maet import MAET
from edaemo.networks._muse import FusionLSTM, MuSeLSTM
from edaemo.networks._published import load_published_weights
from edaemo.networks._recurrent import Recurrent
from edaemo.networks._registry import register_network
from edaemo.networks._res_sin import ResSIN
from edaemo.networks._rtcan import RTCAN
from edaemo.networks._tsception import TSception

__all__ = [
    "AIMSTF",
    "CONSTANT",
    "COSINE",
    "DCNN",
    "MAET",
    "NETWORKS",
    "RTCAN",
    "TASKS",
    "AlexNet2D",
    "BlockNames",
    "Declaration",
    "DeepVANetBio",
    "DomainHead",
    "FeatureCNN",
    "FusionLSTM",
    "Head",
    "InceptionTime",
    "Layer",
    "MachotCNN",
    "MuSeLSTM",
    "Recipe",
    "Recurrent",
    "ResSIN",
    "TSception",
    "blocks_of",
    "declaration_of",
    "fast_paths",
    "filled_up",
    "inputs_of",
    "inputs_of_pipeline",
    "load_published_weights",
    "needed_blocks",
    "prefers_fast",
    "register_network",
    "sizes_of",
    "takes_blocks",
    "takes_mask",
]
