"""The shape of many JSON values taken together, and where two shapes differ in keys or types."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Shape:
    """What was seen in one place: types, keys of objects and how often each, and the items of lists."""

    types: set[str] = field(default_factory=set)
    objects: int = 0
    keys: dict[str, "Shape"] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    items: "Shape | None" = None

    def take(self, value: Any) -> None:
        """Add one more value."""
        self.types.add(type(value).__name__)
        if isinstance(value, Mapping):
            self.objects += 1
            for key, inner in value.items():
                self.keys.setdefault(key, Shape()).take(inner)
                self.seen[key] = self.seen.get(key, 0) + 1
        for one in value if isinstance(value, list) else ():
            self.items = self.items or Shape()
            self.items.take(one)

    def always(self) -> set[str]:
        """Return the keys that every object seen here had."""
        return {key for key, times in self.seen.items() if times == self.objects}


def shape_of(values: Iterable[Any]) -> Shape:
    """Return the shape of these values."""
    shape = Shape()
    for value in values:
        shape.take(value)
    return shape


def differences(recorded: Shape, ours: Shape, at: str) -> Iterator[str]:
    """Yield where ours has another type, or a key more or less, than was recorded."""
    yield from (f"{at}: never {kind}" for kind in sorted(ours.types - recorded.types))
    yield from (f"{at}.{key}: ours alone" for key in sorted(ours.keys.keys() - recorded.keys.keys()))
    if ours.objects:
        yield from (f"{at}.{key}: not ours" for key in sorted(recorded.keys.keys() - ours.keys.keys()))
        missing = (recorded.always() & ours.keys.keys()) - ours.always()
        yield from (f"{at}.{key}: not always ours" for key in sorted(missing))
    for key in sorted(recorded.keys.keys() & ours.keys.keys()):
        yield from differences(recorded.keys[key], ours.keys[key], f"{at}.{key}")
    if ours.items is not None:
        if recorded.items is None:
            yield f"{at}[]: ours alone"
        else:
            yield from differences(recorded.items, ours.items, f"{at}[]")
