"""What the tests of this plugin share: forms to upload, and a storage of S3's protocol."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from rocket_files import FilesPlugin
from rocket_kernel import Actor
from rocket_kernel.testing import Actors
from rocket_kernel.testing.processes import free_port

BOUNDARY = "x-boundary-x"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
START_S = 30


class Forms:
    """Bodies as browsers write them. `form` and `file` give the options of a request."""

    boundary = BOUNDARY

    @staticmethod
    def part(name: str, content: bytes, filename: str | None = None, type: str | None = None) -> bytes:
        head = f'Content-Disposition: form-data; name="{name}"'
        if filename is not None:
            head += f'; filename="{filename}"'
        if type is not None:
            head += f"\r\nContent-Type: {type}"
        return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"

    @staticmethod
    def form(*parts: bytes) -> dict[str, Any]:
        return {
            "content": b"".join(parts) + f"--{BOUNDARY}--\r\n".encode(),
            "headers": {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        }

    @classmethod
    def file(
        cls,
        content: bytes = b"Hello",
        filename: str = "hello.txt",
        type: str | None = "text/plain",
        public: str | None = None,
    ) -> dict[str, Any]:
        parts = [cls.part("file", content, filename, type)]
        return cls.form(*parts, *([] if public is None else [cls.part("public", public.encode())]))

    @classmethod
    async def upload(cls, client: Any, *given: Any, **named: Any) -> Any:
        """The `data` of an upload that must succeed."""
        return (await client.post("_files/upload", **cls.file(*given, **named))).require(201).data


@pytest.fixture(scope="session")
def forms() -> type[Forms]:
    return Forms


@pytest.fixture(scope="session")
def upload() -> Callable[..., Any]:
    return Forms.upload


@pytest.fixture
def person() -> Callable[..., Actor]:
    """Somebody new, with these roles."""
    return lambda *roles: Actor(id=str(uuid4()), email=None, roles=frozenset(roles))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a real server in a process of its own. `config` are the keys of the section `storage`."""

    url: str
    name: str

    @property
    def config(self) -> dict[str, Any]:
        section = {"endpoint": self.url, "bucket": self.name, "path_style": True, "prefix": "some/where"}
        keys = {"access_key": KEYS["aws_access_key_id"], "secret_key": KEYS["aws_secret_access_key"]}
        return {"storage.driver": "s3", "storage.s3": section | keys}

    @property
    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.url, **KEYS)

    def names(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def unfinished(self) -> list[str]:
        return [found["Key"] for found in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        _await_answer(url)
        yield url
    finally:
        process.kill()
        process.wait()


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + START_S
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline:
            try:
                client.get(url)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
    pytest.fail("the storage server did not start")


@pytest.fixture
def bucket(s3_url: str) -> Bucket:
    made = Bucket(s3_url, f"bucket-{uuid4()}")
    made.client.create_bucket(Bucket=made.name)
    return made


StartFiles = Callable[..., Any]


@pytest.fixture
def start_files(start_kernel: Any, tmp_path: Any) -> StartFiles:
    """Starts a kernel with the plugin; its client is bound to a new app, unless `app` is None."""

    async def start(*plugins: Any, config: Any = None, settings: Any = None, app: str | None = "shop") -> Any:
        local = {"storage.local_path": str(tmp_path / "uploads")}
        running = await start_kernel(
            [FilesPlugin, Actors, *plugins], config={**local, **(config or {})}, settings=settings
        )
        return running, running.client if app is None else await running.client.app(app)

    return start


@pytest.fixture
async def client(start_files: StartFiles) -> Any:
    return (await start_files())[1]
