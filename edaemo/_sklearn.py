"""scikit-learn's base classes, with types."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sklearn.utils.metadata_routing import UNCHANGED

# What a method ``set_..._request`` takes for each argument.
Request: TypeAlias = bool | str | None

# scikit-learn has no annotations. For type checkers, the type of a class that inherits from an
# untyped class is unknown, and so are its inherited methods. They read the declarations below
# instead: the public methods, and the private methods that edaemo uses. At run time each name is
# scikit-learn's class. A type checker that reads scikit-learn's source then rejects an estimator of
# edaemo where `sklearn.base.BaseEstimator` is required, so annotate such arguments as
# `AnyEstimator`, `AnyTransformer` or `AnyBunch`.
if TYPE_CHECKING:
    from typing import Any, Self

    import numpy as np
    import sklearn.base
    import sklearn.utils
    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags
    from sklearn.utils.metadata_routing import MetadataRequest

    class BaseEstimator:
        """An estimator: its parameters are the arguments of ``__init__``."""

        @classmethod
        def _get_param_names(cls) -> list[str]: ...

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            """Return the parameters by name; with `deep` also those of parameters."""

        def set_params(self, **params: Any) -> Self:
            """Set parameters, and return the estimator."""

        def get_metadata_routing(self) -> MetadataRequest:
            """Return the metadata that the methods request."""

        def __sklearn_tags__(self) -> Tags: ...

        def __sklearn_clone__(self) -> Self: ...

        def __getstate__(self) -> dict[str, Any]: ...

        def __setstate__(self, state: dict[str, Any]) -> None: ...

        def _validate_params(self) -> None: ...

        def _repr_html_(self) -> str: ...

        def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]: ...

    class ClassifierMixin:
        """A classifier."""

        def score(
            self, X: Any, y: ArrayLike | None, sample_weight: ArrayLike | None = None
        ) -> float:
            """Return the accuracy."""

        def set_score_request(self, *, sample_weight: Request = UNCHANGED) -> Self:
            """Set whether `score` requests the weights."""

        def __sklearn_tags__(self) -> Tags: ...

    class RegressorMixin:
        """A regressor."""

        def score(
            self, X: Any, y: ArrayLike | None, sample_weight: ArrayLike | None = None
        ) -> float:
            """Return the coefficient of determination."""

        def set_score_request(self, *, sample_weight: Request = UNCHANGED) -> Self:
            """Set whether `score` requests the weights."""

        def __sklearn_tags__(self) -> Tags: ...

    class TransformerMixin:
        """A transformer."""

        def transform(self, X: Any) -> Any:
            """Return the data transformed."""

        def fit_transform(self, X: Any, y: Any = None) -> Any:
            """Fit to the data, and return them transformed."""

        def set_output(self, *, transform: str | None = None) -> Self:
            """Set the container of the output: "default", "pandas" or "polars"."""

        def __sklearn_tags__(self) -> Tags: ...

    class OneToOneFeatureMixin:
        """A transformer that returns its columns under their names."""

        def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
            """Return the names of the columns."""

    class Bunch(dict[str, Any]):
        """A dict whose keys are attributes too."""

        def __init__(self, **kwargs: Any) -> None: ...

        def __getattr__(self, key: str) -> Any: ...

        def __setattr__(self, key: str, value: Any) -> None: ...

    # Of scikit-learn, of another library, or of edaemo.
    AnyEstimator: TypeAlias = sklearn.base.BaseEstimator | BaseEstimator
    AnyTransformer: TypeAlias = sklearn.base.TransformerMixin | TransformerMixin
    AnyBunch: TypeAlias = sklearn.utils.Bunch | Bunch

else:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        OneToOneFeatureMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.utils import Bunch

    AnyEstimator, AnyTransformer, AnyBunch = BaseEstimator, TransformerMixin, Bunch

__all__ = [
    "UNCHANGED",
    "AnyBunch",
    "AnyEstimator",
    "AnyTransformer",
    "BaseEstimator",
    "Bunch",
    "ClassifierMixin",
    "OneToOneFeatureMixin",
    "RegressorMixin",
    "Request",
    "TransformerMixin",
]
