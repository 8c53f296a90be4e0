"""docs/files.md: its commands are run against a real server, its limits are those of the plugin."""

from __future__ import annotations

import json
import re
from contextlib import closing
from http.client import HTTPConnection

from rocket_files.filenames import MAX_BYTES
from rocket_files.settings import LONGEST_TTL_S, FilesSettings
from rocket_files.upload import IDLE_S
from rocket_files.upload_form import MAX_BESIDE_FILE, MAX_HEADER_LINE, MAX_HEADERS
from rocket_kernel.config import StorageConfig

PAGE = "docs/files.md"


def newest_file(process):
    """Its id, as a person would copy it from the answer."""
    name, _, value = process.variables["AUTH"].partition(": ")
    with closing(HTTPConnection(process.address, timeout=10)) as connection:
        connection.request("GET", "/api/shop/_files", headers={name: value})
        return json.loads(connection.getresponse().read())["data"][0]["id"]


def test_files_examples_are_answered_as_shown(page, server_process):
    (server_process.folder / "hello.txt").write_text("Hello")
    exchanges = page(PAGE).exchanges()
    assert len([exchange for exchange in exchanges if exchange.status is not None]) >= 7
    for exchange in exchanges:
        if "$FILE" in exchange.command and "FILE" not in server_process.variables:
            server_process.variables["FILE"] = newest_file(server_process)
        server_process.check(exchange)


def test_files_limits_are_those_of_the_plugin(page):
    shown = [int(re.match(r"\d+", cells[1])[0]) for cells in page(PAGE).table("## Uploading")]
    assert shown == [StorageConfig().max_file_size, MAX_BESIDE_FILE, MAX_HEADER_LINE, MAX_HEADERS, int(IDLE_S)]
    text = page(PAGE).text
    for number in (MAX_BYTES, LONGEST_TTL_S, FilesSettings().signed_url_ttl_s):
        assert str(number) in text
