"""How much each of several styles counts: numbers of which only the proportions matter."""

from __future__ import annotations

from collections.abc import Sequence


def parse_weights(text: str) -> list[float]:
    """Numbers between commas, semicolons or spaces. Raises ValueError if something in it is no number."""
    try:
        return [float(word) for word in text.replace(",", " ").replace(";", " ").split()]
    except ValueError:
        raise ValueError(f"weights are {text!r}: write one number a style, such as 2, 1") from None


def normalised(weights: Sequence[float], styles: int) -> list[float]:
    """Weights that sum to 1; equal ones where none are given.

    Raises:
        ValueError: another number of weights than styles, one below 0 or not finite, or all of them 0;
            or there is no style.
    """
    if not weights and styles:
        return [1 / styles] * styles
    if len(weights) != styles:
        raise ValueError(f"weights are {len(weights)} numbers for {styles} styles: give one for each")
    total = sum(weights)
    if not (min(weights, default=0.0) >= 0 and 0 < total < float("inf")):
        raise ValueError(f"weights are {', '.join(map(str, weights))}: give numbers from 0 up, not all of them 0")
    return [weight / total for weight in weights]
