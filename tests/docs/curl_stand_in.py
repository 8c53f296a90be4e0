"""The part of curl that the pages use, for machines without curl 7.82 or later."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request


def main(arguments: list[str]) -> int:
    method, url, body, headers = "", "", None, {}
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
            case "-g" | "--globoff" | "-s" | "--silent":
                continue
            case _ if argument.startswith("-"):
                raise SystemExit(f"curl stand-in: {argument} is not known here")
            case _:
                url = argument if "://" in argument else f"http://{argument}"
    data = None if body is None else body.encode()
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
