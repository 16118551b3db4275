"""The results that may still be refused: 2.1 lets the receiver of a CALLRESULT answer it with CALLRESULTERROR."""

from __future__ import annotations

_KEPT = 16


class ResultIds:
    """Message ids of the last results, and the actions they answered."""

    __slots__ = ("_actions",)

    def __init__(self) -> None:
        self._actions: dict[str, str] = {}

    def add(self, id: str, action: str) -> None:
        self._actions[id] = action
        if len(self._actions) > _KEPT:
            del self._actions[next(iter(self._actions))]

    def take(self, id: str) -> str | None:
        """The action that this result answered, once; None: too long ago, or there was none."""
        return self._actions.pop(id, None)
