"""How fast Rocket is, and beside what: run with `make bench`. No part of the distribution.

Every figure is a ratio between two things measured by turns in one run on one machine. See docs/performance.md.
"""
