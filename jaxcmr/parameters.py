"""Between a vector an optimiser moves and the names a model reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from jaxcmr.typing import Parameters

__all__ = ["bind", "names_read", "require"]


def bind(base: Parameters, names: Sequence[str], x: Any) -> dict[str, Any]:
    """Parameters by name: `base`, with ``names[i]`` set to ``x[i]``."""
    return {**base, **{name: x[i] for i, name in enumerate(names)}}


def require(parameters: Parameters, names: Sequence[str]) -> None:
    """Raises a ValueError for a name of `names` that `parameters` lacks."""
    missing = [name for name in names if name not in parameters]
    if missing:
        close = get_close_matches(missing[0], list(parameters), n=1)
        hint = f" ('{close[0]}' is given: is that a misspelling?)" if close else ""
        raise ValueError(
            f"No value for parameter(s) {', '.join(map(repr, missing))}, which the model needs. "
            f"Give each a fixed value or bounds{hint}."
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
