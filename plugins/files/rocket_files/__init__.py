"""Files: uploads that stream to storage, downloads that a browser cannot be tricked with, fields that hold a file."""

from rocket_files.plugin import FilesPlugin

__all__ = ["FilesPlugin"]
