"""Uploads or downloads in a process of its own, so that whoever watches the server is not delayed by them.

python files_traffic.py PORT up COUNT BYTES        prints one address a line
python files_traffic.py PORT down COUNT ADDRESS    prints the bytes that came, one number a line
python files_traffic.py PORT send COUNT PATH       prints the status that the body in a file is answered with
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PIECE = 1_000_000
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=300)


def post(port: int, length: int, pieces: Iterable[bytes]) -> tuple[int, bytes]:
    """Status and body of the answer."""
    with connect(port) as connection:
        connection.sendall(
            b"POST /api/shop/_files/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: %d\r\n\r\n" % length
        )
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
    return int(answer.split(maxsplit=2)[1]), answer.partition(b"\r\n\r\n")[2]


def upload(port: int, size: int) -> str:
    random = os.urandom(PIECE)
    pieces = [HEAD, *[random] * (size // PIECE), random[: size % PIECE], TAIL]
    _, body = post(port, len(HEAD) + size + len(TAIL), pieces)
    return str(json.loads(body)["data"]["url"])


def send(port: int, path: str) -> int:
    body = Path(path).read_bytes()
    return post(port, len(body), [body])[0]


def download(port: int, path: str) -> int:
    received = 0
    space = bytearray(PIECE)
    with connect(port) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65_536)
        received = len(head.partition(b"\r\n\r\n")[2])
        while count := connection.recv_into(space):
            received += count
    return received


def main(port: str, direction: str, count: str, what: str) -> None:
    with ThreadPoolExecutor(int(count)) as threads:
        work: dict[str, Callable[[], object]] = {
            "up": lambda: upload(int(port), int(what)),
            "down": lambda: download(int(port), what),
            "send": lambda: send(int(port), what),
        }
        found = [threads.submit(work[direction]) for _ in range(int(count))]
        for done in found:
            print(done.result())  # noqa: T201  # what the parent process reads


if __name__ == "__main__":
    main(*sys.argv[1:])
