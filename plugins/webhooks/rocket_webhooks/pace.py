"""How many deliveries one lane may have on their way at a time. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LEAST = 2
MOST = 8
STEP_S = 0.025
"""Two at a time keep a receiver busy that answers within this time; a slower one is sent more at a time."""
_WEIGHT = 0.2


@dataclass(slots=True, eq=False)
class Lane:
    """What one process knows of a lane. What is on its way when a process dies is sent again, so there is no more of it
    than speed asks for.
    """

    running: int = 0
    limit: int = LEAST
    asked: bool = False
    """Something came while all workers were busy: whoever of them ends without having found it must look again."""
    _answer_s: float = 0.0
    """Average time of the last deliveries."""

    @property
    def wants_more(self) -> bool:
        return self.running < self.limit

    def note(self, delivered: bool, seconds: float) -> None:
        """A receiver that does not take what it is sent gets no more of it at a time."""
        if delivered:
            self._answer_s += _WEIGHT * (seconds - self._answer_s)
        else:
            self._answer_s = 0.0
        self.limit = max(LEAST, min(MOST, 1 + round(self._answer_s / STEP_S)))
