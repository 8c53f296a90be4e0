"""Rocket: a backend nobody has to code. Plugin authors import from here and nowhere deeper."""

from rocket_kernel.actor import SYSTEM as SYSTEM
from rocket_kernel.actor import Actor as Actor
from rocket_kernel.call import Call as Call
from rocket_kernel.clock import Clock as Clock
from rocket_kernel.clock import SystemClock as SystemClock
from rocket_kernel.clock import timestamp_text as timestamp_text
from rocket_kernel.config import Config as Config
from rocket_kernel.config import load_config as load_config
from rocket_kernel.hookspecs import hookimpl as hookimpl
from rocket_kernel.http.app import create_app as create_app
from rocket_kernel.kernel import Kernel as Kernel
from rocket_kernel.kernel import make_kernel as make_kernel
from rocket_kernel.plugins import Plugin as Plugin

__version__ = "0.1.0"
