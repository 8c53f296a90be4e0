"""The multipart body of an upload, read as it comes: one part `file`, and the optional field `public`.

Everything beside the file's own bytes is bounded before it is parsed, so that no body can keep the server busy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from rocket_kernel import InvalidPayload

MAX_BESIDE_FILE = 65_536
"""Bytes of a body that are not the file's: boundaries, headers, the other field, and what stands before and after."""
MAX_HEADER_LINE = 4096
MAX_HEADERS = 8
_MAX_BOUNDARY = 200
_MAX_CONTENT_TYPE = 1000
_MAX_PUBLIC = 16
_TRUE = frozenset({"true", "1", "on", "yes"})
_FALSE = frozenset({"false", "0", "off", "no", ""})


@dataclass(frozen=True, slots=True)
class FilePart:
    """The head of the part `file`; its bytes follow."""

    filename: str | None
    content_type: str | None


class UploadForm:
    """Feed it the body; it gives the head of the file's part and then its bytes. Every fault is InvalidPayload."""

    def __init__(self, content_type: str) -> None:
        self.part: FilePart | None = None
        self.public = False
        self._parser = PushMultipartParser(
            _boundary(content_type), max_header_size=MAX_HEADER_LINE, max_header_count=MAX_HEADERS
        )
        self._name: str | None = None
        self._public: bytes | None = None
        self._beside = 0

    def feed(self, chunk: bytes) -> Iterator[FilePart | bytes]:
        """What a further piece of the body brings; it must be read to its end before the next piece."""
        self._beside += len(chunk)
        try:
            for event in self._parser.parse(chunk) if chunk else ():
                if isinstance(event, MultipartSegment):
                    if self._begin(event) and self.part is not None:
                        yield self.part
                elif event is None:
                    self._end()
                elif self._name == "file":
                    self._beside -= len(event)
                    yield bytes(event)
                else:
                    self._keep_public(event)
        except MultipartError as error:
            raise InvalidPayload("Invalid multipart body") from error
        if self._beside > MAX_BESIDE_FILE:
            raise InvalidPayload("Too much beside the file in form data")

    def finish(self) -> FilePart:
        """The body has ended."""
        try:
            self._parser.close()
        except MultipartError as error:
            message = "Incomplete multipart body" if self.part is not None else "Missing file in form data"
            raise InvalidPayload(message) from error
        if self.part is None:
            raise InvalidPayload("Missing file in form data")
        return self.part

    def _begin(self, segment: MultipartSegment) -> bool:
        """Whether it is the file."""
        self._name = segment.name
        if segment.name == "file":
            if self.part is not None:
                raise InvalidPayload("More than one file in form data")
            self.part = FilePart(segment.filename, segment.content_type)
            return True
        if segment.name != "public":
            raise InvalidPayload("Unexpected part in form data; a part named file is wanted")
        if self._public is not None:
            raise InvalidPayload("More than one field public in form data")
        self._public = b""
        return False

    def _keep_public(self, value: bytes) -> None:
        self._public = (self._public or b"") + value
        if len(self._public) > _MAX_PUBLIC:
            raise InvalidPayload("Invalid value for public in form data")

    def _end(self) -> None:
        if self._name != "public":
            return
        text = (self._public or b"").decode("latin-1").strip().lower()
        if text not in _TRUE | _FALSE:
            raise InvalidPayload("Invalid value for public in form data")
        self.public = text in _TRUE


def _boundary(content_type: str) -> bytes:
    if len(content_type) > _MAX_CONTENT_TYPE:
        raise InvalidPayload("Invalid multipart boundary")
    media_type, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if media_type != "multipart/form-data":
        raise InvalidPayload("Missing file in form data")
    if not boundary or len(boundary) > _MAX_BOUNDARY or not boundary.isascii() or not boundary.isprintable():
        raise InvalidPayload("Invalid multipart boundary")
    return str(boundary).encode()
