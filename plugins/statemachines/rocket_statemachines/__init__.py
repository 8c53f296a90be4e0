"""Which states a record may take, who may move it from one to the next, and what happens then."""

from rocket_statemachines.plugin import StateMachinesPlugin

__all__ = ["StateMachinesPlugin"]
