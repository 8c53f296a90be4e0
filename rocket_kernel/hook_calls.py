"""Calling the implementations of hooks, and naming plugin, hook and file when they fail."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from rocket_kernel.actor import CallerChanged
from rocket_kernel.blame import place_in, place_of
from rocket_kernel.errors import PluginError, RocketError, StartupError, Unavailable
from rocket_kernel.step_times import StepTime
from rocket_kernel.stray import STRAY, is_asked_for

_AT_START = frozenset({"on_platform_opened", "on_listening", "on_started"})


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of one hook."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    asked: tuple[str, ...]
    """Names of the parameters that it has, in its own order."""
    package: str
    """What all code of the plugin is in."""

    def call(self, **arguments: Any) -> Any:
        """Call with those arguments the implementation asks for; what it raises is named after plugin and hook.

        Of an async implementation it is the coroutine, with the same names on what that raises.
        """
        try:
            result = self.function(**self._chosen(arguments))
        except (Exception, *STRAY) as error:
            if self._may_leave(error):
                raise
            raise self._named(error) from error
        return self._awaited(result) if inspect.iscoroutine(result) else result

    def values(self, expected: type | tuple[type, ...] = object, /, **arguments: Any) -> list[Any]:
        """What a collector returns, each of an `expected` type; None is nothing."""
        try:
            found = list(self.call(**arguments) or ())
        except (Exception, *STRAY) as error:  # it is no sequence, or a generator that fails
            if self._may_leave(error):
                raise
            raise self._named(error) from error
        for value in found:
            if not isinstance(value, expected):
                wanted = expected if isinstance(expected, tuple) else (expected,)
                names = " or ".join(each.__name__ for each in wanted)
                raise self.failure(f"returned {type(value).__name__} instead of {names}")
        return found

    def participant(self, *parameters: str, time: StepTime | None = None) -> Callable[..., Any]:
        """An async implementation as a callable of these parameters by position, whichever of them it asks for.

        A defect leaves as PluginError, so that the log names plugin and hook; a RocketError leaves as it is.
        """
        function, in_order = self.function, self._in_order(parameters)

        async def call(*values: Any) -> Any:
            try:
                return await (in_order(*values) if time is None else time.timed(in_order, *values))
            except (RocketError, PluginError, CallerChanged):
                raise
            except (Exception, *STRAY) as error:
                if is_asked_for(error):
                    raise
                raise self._raised(error, with_text=False) from error

        return wraps(function)(call)

    def failure(self, problem: str, error: BaseException | None = None) -> PluginError:
        """Names the place that an error comes from, or where the hook is."""
        place = (None if error is None else place_in(error, self.package)) or place_of(self.function)
        return PluginError(self.plugin, problem, hook=self.hook, place=place)

    async def _awaited(self, running: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await running
        except (Exception, *STRAY) as error:
            if self._may_leave(error):
                raise
            raise self._named(error) from error

    def _in_order(self, parameters: tuple[str, ...]) -> Callable[..., Any]:
        function, asked = self.function, self.asked
        if asked == parameters:
            return function

        def in_order(*values: Any) -> Any:
            named = zip(parameters, values, strict=True)
            return function(**{name: value for name, value in named if name in asked})

        return in_order

    def _may_leave(self, error: BaseException) -> bool:
        """Whether the plugin may raise it, for whoever called to deal with."""
        if isinstance(error, STRAY):
            return is_asked_for(error)
        if self.hook.startswith("register_"):  # nobody has asked for anything yet whom an error could answer
            return isinstance(error, PluginError)
        if self.hook in _AT_START:
            return isinstance(error, StartupError | Unavailable)
        return isinstance(error, RocketError | StartupError | CallerChanged)

    def _named(self, error: BaseException) -> PluginError:
        return self.failure(str(error), error) if isinstance(error, StartupError) else self._raised(error)

    def _raised(self, error: BaseException, *, with_text: bool = True) -> PluginError:
        """The text stays out of the log of a request, where it could hold values; the cause has it."""
        text = f": {error}" if with_text else ""
        return self.failure(f"raised {type(error).__name__}{text}", error)

    def _chosen(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {name: arguments[name] for name in self.asked if name in arguments}
