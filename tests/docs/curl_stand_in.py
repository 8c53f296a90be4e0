"""The part of curl that the pages use, for machines without curl 7.82 or later."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

BOUNDARY = "curl-stand-in"
TYPES = {".txt": "text/plain"}


def _part(field: str) -> bytes:
    """`name=value`, or `name=@path` for a file."""
    name, _, value = field.partition("=")
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if value.startswith("@"):
        path = Path(value[1:])
        head += f'; filename="{path.name}"\r\nContent-Type: {TYPES.get(path.suffix, "application/octet-stream")}'
        return f"{head}\r\n\r\n".encode() + path.read_bytes() + b"\r\n"
    return f"{head}\r\n\r\n{value}\r\n".encode()


def main(arguments: list[str]) -> int:
    method, url, body, headers = "", "", None, {}
    form: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        match argument:
            case "--json":
                text = next(rest)
                body = sys.stdin.read() if text == "@-" else open(text[1:]).read() if text[:1] == "@" else text  # noqa: SIM115, PTH123
                headers |= {"Content-Type": "application/json", "Accept": "application/json"}
            case "-X" | "--request":
                method = next(rest)
            case "-H" | "--header":
                name, _, value = next(rest).partition(":")
                headers[name.strip()] = value.strip()
            case "-F" | "--form":
                form.append(next(rest))
            case "-g" | "--globoff" | "-s" | "--silent":
                continue
            case _ if argument.startswith("-"):
                raise SystemExit(f"curl stand-in: {argument} is not known here")
            case _:
                url = argument if "://" in argument else f"http://{argument}"
    data = None if body is None else body.encode()
    if form:
        data = b"".join(map(_part, form)) + f"--{BOUNDARY}--\r\n".encode()
        headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    request = urllib.request.Request(url, data, headers, method=method or ("GET" if data is None else "POST"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        sys.stdout.write(f"{answer.read().decode()}\n{answer.status}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
