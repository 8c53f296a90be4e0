"""Workflows for Rocket: approvals, waits and actions as metadata."""

from rocket_workflows.plugin import WorkflowsPlugin as WorkflowsPlugin

__all__ = ["WorkflowsPlugin"]
