"""Checkpoints of the code that the authors of RTCAN-1D released.

That code has no licence and no line of it is here. What follows knows the names of its tensors.
"""

from __future__ import annotations

from os import PathLike

import torch
from torch import Tensor

from edaemo.networks._rtcan import RTCAN

# Music features in the released code: openSMILE's, or EDA alone.
N_MUSIC = (6373, 0)
# A linear layer that the released code makes and never uses.
UNUSED = {"Res_sub.fc.weight", "Res_sub.fc.bias"}
# Layers of RTCAN, and what the released code calls them.
UNIT = {
    "sca.squeeze": "Attention.conv_du.0",
    "sca.excite": "Attention.conv_du.2",
    "convolve.0": "conv1",
    "convolve.1": "bn1",
    "shortcut.0": "downsample.0",
    "shortcut.1": "downsample.1",
}
LAYERS = {
    "shallow.0": "origin_block.0",
    "shallow.1": "origin_block.1",
    "attention.rnta.theta": "Non_local.non_local.theta",
    "attention.rnta.phi": "Non_local.non_local.phi.0",
    "attention.rnta.g": "Non_local.non_local.origin_conv.0",
    "attention.rnta.project": "Non_local.non_local.W.0",
    "attention.rnta.norm": "Non_local.non_local.W.1",
    "attention.sca.squeeze": "Attention.conv_du.0",
    "attention.sca.excite": "Attention.conv_du.2",
    **{
        f"trunk.{i}.{ours}": f"Res_sub.layer3x3_{i // 2 + 1}.{i % 2}.{theirs}"
        for i in range(8)
        for ours, theirs in UNIT.items()
    },
    "trunk.8.0": "Res_sub.final_downsample.0",
    "trunk.8.1": "Res_sub.final_downsample.1",
    "classify.0": "regression.0",
    "classify.2": "regression.2",
    "classify.4": "regression.4",
}
# Without attention the shallow convolution belongs to the trunk there.
LAYERS_WITHOUT_ATTENTION = LAYERS | {"shallow.0": "Res_sub.conv1", "shallow.1": "Res_sub.bn1"}


def load_published_weights(path: str | PathLike[str], *, n_times: int = 2500) -> RTCAN:
    """Read a checkpoint of the released code into ``RTCAN(architecture="published")``.

    Parameters
    ----------
    path : str or path-like
        A file that the released scripts wrote in training: ``torch.save`` of a ``state_dict``.
    n_times : int, default=2500
        Samples of a signal, 2500 in the released code. Weights do not tell: they are the same for
        all lengths from 2497 to 2592.

    Returns
    -------
    RTCAN
        In evaluation mode, on the CPU. Channels, music, classes and attention are as in the file.

    Raises
    ------
    OSError
        If the file is missing or cannot be opened.
    ValueError
        If it is not such a checkpoint, is cut short, or does not fit `n_times`.

    Notes
    -----
    PyTorch reads plain tensors only (``weights_only=True``); nothing in the file is run. The
    released code feeds the channels original, tonic, phasic for PMEmo and tonic, phasic, original
    for DEAP and AMIGOS.
    """
    released = _read(path)
    try:
        stem = released["origin_block.0.weight" if _attends(released) else "Res_sub.conv1.weight"]
        n_chans = stem.shape[1]
        n_features = released["regression.0.weight"].shape[1]
        n_outputs = released["regression.4.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise _foreign(path, f"it lacks the first or the last layers ({error})") from error
    nets = (_make_network(released, n_chans, n_times, n_music, n_outputs) for n_music in N_MUSIC)
    net = next((net for net in nets if net.classify[0].in_features == n_features), None)
    if net is None:
        raise _foreign(
            path,
            f"its classifier takes {n_features} numbers, and n_times={n_times} gives other numbers "
            f"with {N_MUSIC[0]} music features and with none; pass the n_times of its training",
        )
    layers = LAYERS if _attends(released) else LAYERS_WITHOUT_ATTENTION
    state = {}
    for name, value in net.state_dict().items():
        layer, _, kind = name.rpartition(".")
        theirs = f"{layers[layer]}.{kind}"
        if theirs not in released:
            raise _foreign(path, f"{theirs} is missing")
        if released[theirs].shape != value.shape:
            shapes = f"{tuple(released[theirs].shape)} and not {tuple(value.shape)}"
            raise _foreign(path, f"{theirs} has shape {shapes}")
        state[name] = released.pop(theirs)
    unknown = sorted(released.keys() - UNUSED)
    if unknown:
        raise _foreign(path, f"{unknown[0]} is unknown")
    net.load_state_dict(state)
    return net.eval()


def _read(path: str | PathLike[str]) -> dict[str, Tensor]:
    try:
        read = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a broken file raises errors of any kind
        raise _foreign(path, "PyTorch cannot read tensors from it") from error
    if not isinstance(read, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in read.items()
    ):
        raise _foreign(path, "it holds something else than named tensors")
    return read


def _attends(released: dict[str, Tensor]) -> bool:
    return "origin_block.0.weight" in released


def _make_network(
    released: dict[str, Tensor], n_chans: int, n_times: int, n_music_features: int, n_outputs: int
) -> RTCAN:
    return RTCAN(
        n_chans,
        n_times,
        n_music_features,
        n_outputs,
        architecture="published",
        sca="Attention.conv_du.0.weight" in released,
        sca_res="Res_sub.layer3x3_1.0.Attention.conv_du.0.weight" in released,
        rnta="Non_local.non_local.theta.weight" in released,
    )


def _foreign(path: str | PathLike[str], why: str) -> ValueError:
    return ValueError(
        f"{path} is not a whole checkpoint of the released RTCAN-1D code: {why}. That code writes "
        "torch.save(model.state_dict(), path); a model that was pickled as a whole must be loaded "
        "with that code at hand and saved so."
    )
