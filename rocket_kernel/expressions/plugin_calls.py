"""Calling a function of a plugin: it gets frozen values, and whatever it raises is a runtime error."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.functions import Function
from rocket_kernel.expressions.limits import MAX_VALUE_DEPTH
from rocket_kernel.expressions.values import is_list, value_of
from rocket_kernel.expressions.work import Work, require_list_size

logger = logging.getLogger(__name__)


def call_function(function: Function, given: Sequence[Any], work: Work) -> Any:
    """The value a plugin's function gives. Raises Fault."""
    arguments = [frozen(value, work) for value in given]
    try:
        return value_of(function.call(*arguments))
    except ValueError as error:
        raise Fault(f"{function.name}: {error}") from error
    except Fault:
        raise
    except Exception as error:
        logger.exception("the expression function %s failed", function.name)
        raise Fault(f"{function.name} failed") from error


def frozen(raw: Any, work: Work, depth: int = 0) -> Any:
    """A value that cannot be changed: tuples and read-only mappings all the way down."""
    value = value_of(raw)
    if isinstance(value, Mapping):
        work.spend(len(value) + 1)
        _require_shallow(depth)
        return MappingProxyType({key: frozen(value[key], work, depth + 1) for key in value})
    if is_list(value):
        require_list_size(len(value))
        work.spend(len(value) + 1)
        _require_shallow(depth)
        return tuple([frozen(item, work, depth + 1) for item in value])
    return value


def _require_shallow(depth: int) -> None:
    if depth > MAX_VALUE_DEPTH:
        raise Fault("value nested too deeply")
