"""Between a vector an optimiser moves and the names a model reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jaxcmr.names import did_you_mean
from jaxcmr.typing import Parameters

__all__ = ["bind", "names_read", "require"]


def bind(base: Parameters, names: Sequence[str], x: Any) -> dict[str, Any]:
    """Parameters by name: `base`, with ``names[i]`` set to ``x[i]``."""
    return {**base, **{name: x[i] for i, name in enumerate(names)}}


def require(parameters: Parameters, names: Sequence[str]) -> None:
    """Raises a ValueError for a name of `names` that `parameters` lacks."""
    for name in names:
        if name not in parameters:
            raise ValueError(
                f"The model needs a value of parameter {name!r}. {did_you_mean(name, parameters)}"
            )


class _Recorder(Mapping[str, float]):
    """A mapping that has every key and notes which were asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __getitem__(self, name: str) -> float:
        if name not in self.names:
            self.names.append(name)
        return 0.5

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def names_read(create_model: Callable[[Parameters], Any]) -> tuple[str, ...]:
    """The parameter names that `create_model` looks up, in the order it does so."""
    recorder = _Recorder()
    create_model(recorder)
    return tuple(recorder.names)
