"""Explanations of trials, as the functions that compute them return them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The only "channel" of a network on features, which has no time axis.
FEATURES = ("features",)


@dataclass(frozen=True)
class Attribution:
    """The input of a network, and a weight for each number in it.

    Parameters
    ----------
    signals : ndarray of shape (n_trials, n_chans, n_times), float32
        The EDA in the input of the network; z-scored if :class:`edaemo.CvxEDATransformer` made it.
        The 3-layer CNN has one "channel", whose "samples" are the features in the order of the
        columns.
    weights : ndarray of shape (n_trials, n_chans, n_times), float32
        Positive or negative weights; the function that returns them describes their meaning.
    channels : tuple of str
        Names of the channels, such as ``("original", "phasic", "tonic")``. For an array without
        column names: ``"channel 0"`` and so on. For the 3-layer CNN: ``("features",)``.
    target : ndarray of shape (n_trials,)
        The label of the class that was explained in each trial; None for a regressor.
    """

    signals: np.ndarray
    weights: np.ndarray
    channels: tuple[str, ...]
    target: np.ndarray


@dataclass(frozen=True)
class GradCAM(Attribution):
    """Grad-CAM of a layer, and its mapping to the input channels; see :func:`grad_cam`.

    Parameters
    ----------
    signals, weights : ndarray
        As in :class:`Attribution`.
    channels : tuple of str
        As in :class:`Attribution`.
    target : ndarray
        As in :class:`Attribution`. The weights come from guided back-propagation.
    layer : str
        Name of the layer.
    cam : ndarray of shape (n_trials, n_times), float32
        The Grad-CAM map, at least 0.
    """

    layer: str
    cam: np.ndarray


@dataclass(frozen=True)
class IntegratedGradients(Attribution):
    """The contribution of each input to a logit; see :func:`integrated_gradients`.

    Parameters
    ----------
    signals, weights : ndarray
        As in :class:`Attribution`.
    channels : tuple of str
        As in :class:`Attribution`.
    target : ndarray
        As in :class:`Attribution`.
    music : ndarray of shape (n_trials, n_music_features), float32
        The weights of the music features.
    deviation : ndarray of shape (n_trials,), float32
        Sum of all weights of a trial, minus the difference between its logit and the baseline's.
        It is 0 if the integral is exact.
    """

    music: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True)
class ModalityAttribution:
    """The contribution of each modality to a logit; see :func:`modality_attribution`.

    Parameters
    ----------
    modalities : tuple of str
        Names of the modalities.
    weights : ndarray of shape (n_trials, n_modalities), float32
        The weight of each modality; 0 if the trial lacks it.
    tokens : ndarray of shape (n_trials, n_tokens), float32
        The weight of each token of MAET. For each modality, the first token is the class token,
        whose weight is 0, because it does not depend on the trial. The same as `weights` for other
        networks, which have no tokens.
    modality_of_token : ndarray of str of shape (n_tokens,)
        The modality of each token.
    fusion : ndarray of shape (n_trials, n_weights), float32
        Weights in the fusion, from 0 to 1, which do not explain the prediction. MAET: of the class
        token of each modality; 1 for a single modality. AIMSTF: of the specific features of each
        modality, and last of the shared features. Other networks: none.
    target : ndarray of shape (n_trials,)
        The label of the class that was explained in each trial.
    deviation : ndarray of shape (n_trials,), float32
        Sum of all weights of a trial, minus the difference between its logit and that of zeros.
    """

    modalities: tuple[str, ...]
    weights: np.ndarray
    tokens: np.ndarray
    modality_of_token: np.ndarray
    fusion: np.ndarray
    target: np.ndarray
    deviation: np.ndarray
