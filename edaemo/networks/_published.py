"""Read checkpoints of the code that the authors of RTCAN-1D released.

That code has no licence. This module contains none of it, except the names of its tensors.
"""

from __future__ import annotations

from os import PathLike

import torch
from torch import Tensor

from edaemo.networks._rtcan import RTCAN

# Numbers of music features in the released code: with openSMILE features, and without music.
N_MUSIC = (6373, 0)
# A linear layer that the released code creates but does not use.
UNUSED = {"Res_sub.fc.weight", "Res_sub.fc.bias"}
# Names of the layers of RTCAN, and their names in the released code.
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
# Without attention, the shallow convolution is part of the trunk in the released code.
LAYERS_WITHOUT_ATTENTION = LAYERS | {"shallow.0": "Res_sub.conv1", "shallow.1": "Res_sub.bn1"}


def load_published_weights(path: str | PathLike[str], *, n_times: int = 2500) -> RTCAN:
    """Read a checkpoint of the released code into ``RTCAN(architecture="published")``.

    Parameters
    ----------
    path : str or path-like
        A file that the released scripts wrote in training: ``torch.save`` of a ``state_dict``.
    n_times : int, default=2500
        Number of samples of a signal, 2500 in the released code. The file does not contain it,
        because all lengths from 2497 to 2592 have weights of the same shapes.

    Returns
    -------
    RTCAN
        The network in evaluation mode, on the CPU. Channels, music, classes and attention are as in
        the file.

    Raises
    ------
    OSError
        If the file is missing or cannot be opened.
    ValueError
        If the file is not such a checkpoint, is incomplete, or does not match `n_times`.

    Notes
    -----
    PyTorch reads plain tensors only (``weights_only=True``); code in the file is not run. The order
    of the channels in the released code is original, tonic, phasic for PMEmo, and tonic, phasic,
    original for DEAP and AMIGOS.
    """
    released = _read(path)
    try:
        stem = released["origin_block.0.weight" if _attends(released) else "Res_sub.conv1.weight"]
        n_chans = stem.shape[1]
        n_features = released["regression.0.weight"].shape[1]
        n_outputs = released["regression.4.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise _make_error(path, f"its first or last layers are missing ({error})") from error
    nets = (_make_network(released, n_chans, n_times, n_music, n_outputs) for n_music in N_MUSIC)
    net = next((net for net in nets if net.classify[0].in_features == n_features), None)
    if net is None:
        raise _make_error(
            path,
            f"its classifier takes {n_features} inputs, which does not match n_times={n_times}, "
            f"neither with {N_MUSIC[0]} music features nor without music; pass the n_times with "
            "which it was trained",
        )
    layers = LAYERS if _attends(released) else LAYERS_WITHOUT_ATTENTION
    state = {}
    for name, value in net.state_dict().items():
        layer, _, kind = name.rpartition(".")
        theirs = f"{layers[layer]}.{kind}"
        if theirs not in released:
            raise _make_error(path, f"{theirs} is missing")
        if released[theirs].shape != value.shape:
            shapes = f"{tuple(released[theirs].shape)}, expected {tuple(value.shape)}"
            raise _make_error(path, f"{theirs} has shape {shapes}")
        state[name] = released.pop(theirs)
    unknown = sorted(released.keys() - UNUSED)
    if unknown:
        raise _make_error(path, f"{unknown[0]} is unknown")
    net.load_state_dict(state)
    return net.eval()


def _read(path: str | PathLike[str]) -> dict[str, Tensor]:
    try:
        read = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a broken file raises errors of any kind
        raise _make_error(path, "PyTorch cannot read tensors from it") from error
    if not isinstance(read, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in read.items()
    ):
        raise _make_error(path, "it does not hold a dict of named tensors")
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


def _make_error(path: str | PathLike[str], reason: str) -> ValueError:
    return ValueError(
        f"{path} is not a complete checkpoint of the released RTCAN-1D code: {reason}. That code "
        "writes torch.save(model.state_dict(), path). If the file holds a pickled model, load it "
        "with that code and save its state_dict."
    )
