"""What needs no server: forms read piece by piece, names, types, ranges, links."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_files.byte_range import ByteRange, parse_range
from rocket_files.content_type import UNKNOWN, clean_type, decide_type, is_inline, is_text
from rocket_files.file_field import keep, read_value, show
from rocket_files.filenames import MAX_BYTES, content_disposition, display_name
from rocket_files.links import is_signed, read_ttl, signature, signed_url
from rocket_files.upload_form import MAX_BESIDE_FILE, FilePart, UploadForm
from rocket_kernel import Forbidden, InvalidPayload, RangeNotSatisfiable, Secret

ID = "0189abcd-0000-4000-8000-00000000000f"
HEADER = "multipart/form-data; boundary=x-boundary-x"
MOST_S = 0.1


def taken(form: UploadForm, *pieces: bytes) -> bytes:
    content = b""
    for piece in pieces:
        for event in form.feed(piece):
            content += b"" if isinstance(event, FilePart) else event
    form.finish()
    return content


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 500), max_size=20), public=st.booleans())
def test_a_form_is_the_same_however_it_is_cut(forms, content, cuts, public):
    content = content.replace(b"x-boundary-x", b"")
    body = forms.file(content, "a.txt", "text/plain", "true" if public else None)["content"]
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    form = UploadForm(HEADER)
    pieces = [body[start:end] for start, end in pairwise(edges)]
    assert taken(form, *pieces) == content
    assert (form.part, form.public) == (FilePart("a.txt", "text/plain"), public)


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=400), cuts=st.integers(1, 50))
def test_no_bytes_are_more_than_a_fault(forms, body, cuts):
    whole = forms.file()["content"]
    for broken in (body, whole[:60] + body, whole + body, body + whole):
        form = UploadForm(HEADER)
        try:
            taken(form, *[broken[start : start + cuts] for start in range(0, len(broken), cuts)])
        except InvalidPayload:
            continue
        assert form.part is not None


def hostile(forms):
    line = b"a" * 15_000_000
    start = b"--x-boundary-x\r\n"
    yield "a header line of 15 MB", start + b'Content-Disposition: form-data; name="' + line
    yield "a header name of 15 MB", start + line
    yield "1.8 million header lines", start + b"a:b\r\n" * 1_800_000
    yield "header lines that continue", start + b"a: b\r\n" + b" c\r\n" * 1_000_000
    yield "10,000 parts", forms.part("public", b"true") * 10_000
    yield "10,000 empty parts", (start + b"\r\n") * 10_000
    yield "15 MB before the first part", line
    yield "almost boundaries", b"--x-boundary-" * 1_000_000
    yield "line ends", b"\r\n" * 5_000_000
    yield "a field of 15 MB", start + b'Content-Disposition: form-data; name="public"\r\n\r\n' + line
    yield "options without end", start + b"Content-Disposition: form-data" + b'; a="' * 800 + b"\r\n\r\n"


def test_no_body_keeps_the_server_busy(forms):
    for what, body in hostile(forms):
        for size in (65_536, len(body)):
            pieces = [body[start : start + size] for start in range(0, len(body), size)]
            began = time.process_time()
            with pytest.raises(InvalidPayload):
                taken(UploadForm(HEADER), *pieces)
            # All of it together, though each piece alone is what others would have to wait for.
            assert time.process_time() - began < MOST_S, what


def test_what_is_beside_the_file_is_bounded(forms):
    form = UploadForm(HEADER)
    preamble = b"p" * (MAX_BESIDE_FILE - 500) + b"\r\n"
    assert taken(form, preamble + forms.file(b"x" * 200_000)["content"]) == b"x" * 200_000


@pytest.mark.parametrize(
    "header", ["", "text/plain", "multipart/mixed; boundary=x", "multipart/form-data", "\x00", "="]
)
def test_a_form_needs_its_type(header):
    with pytest.raises(InvalidPayload):
        UploadForm(header)


@given(st.text())
def test_every_name_can_be_shown_and_sent(text):
    name = display_name(text)
    assert name
    assert len(name.encode()) <= MAX_BYTES
    assert not set(name) & set("/\\\x00\r\n")
    assert display_name(name) == name
    header = content_disposition(name, inline=False)
    assert header.isascii()
    assert header.isprintable()


@pytest.mark.parametrize(
    ("name", "inline", "header"),
    [
        ("a b.txt", True, 'inline; filename="a b.txt"'),
        ('a"b\\c.txt', False, 'attachment; filename="a\\"b\\\\c.txt"'),
        ("é €.txt", False, "attachment; filename=\"_ _.txt\"; filename*=UTF-8''%C3%A9%20%E2%82%AC.txt"),
        ("100%.txt", False, 'attachment; filename="100%.txt"'),
    ],
)
def test_the_disposition(name, inline, header):
    assert content_disposition(name, inline=inline) == header


@given(st.binary(max_size=9000), st.text(max_size=40))
def test_every_file_gets_a_type(head, declared):
    kept = decide_type(head, declared)
    assert clean_type(kept) == kept
    assert kept == UNKNOWN or not is_inline(kept) or kept != "text/plain" or is_text(head)


@pytest.mark.parametrize(
    ("mime_type", "inline"),
    [
        ("image/png", True),
        ("image/svg+xml", False),
        ("application/pdf", True),
        ("audio/mpeg", True),
        ("video/mp4", True),
        ("text/plain", True),
        ("text/html", False),
        ("application/xhtml+xml", False),
        ("application/octet-stream", False),
        ("text/javascript", False),
    ],
)
def test_what_browsers_may_show(mime_type, inline):
    assert is_inline(mime_type) is inline


def test_text_may_be_cut_within_a_character():
    assert is_text("é".encode()[:1])
    assert not is_text(b"a\x07")
    assert is_text(b"a\tb\r\n\x0c")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 4)),
        ("bytes=2-", (2, 8)),
        ("bytes=2-99999999999", (2, 8)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("BYTES = 0-1 ", (0, 2)),
        ("bytes=0-1,3-4", None),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=1", None),
        ("bytes", None),
        ("items=0-1", None),
        ("bytes=--1", None),
        ("bytes=+1-2", None),
        ("bytes=²-", None),
        ("bytes=" + "9" * 5000 + "-", None),
    ],
)
def test_ranges(header, found):
    assert parse_range(header, 10) == (None if found is None else ByteRange(*found))


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_ranges_outside(header, size):
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, size)
    assert caught.value.headers == {"Content-Range": f"bytes */{size}"}


SECRET = Secret("s" * 40)


def parameters(url):
    return dict(part.split("=") for part in url.partition("?")[2].split("&"))


def test_a_link_lasts_until_its_time():
    given = parameters(signed_url(SECRET, "shop", ID, 1000))
    assert is_signed(given, SECRET, ID, 999.9)
    assert is_signed(given, SECRET, ID.upper(), 999.9)
    with pytest.raises(Forbidden, match="Link is invalid or has expired"):
        is_signed(given, SECRET, ID, 1000)
    assert not is_signed({}, SECRET, ID, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "1001"},
        {"expires": "01000"},
        {"expires": "1000 "},
        {"expires": ""},
        {"signature": ""},
        {"signature": "é"},
        {"signature": signature(SECRET, ID.replace("f", "e"), "1000")},
        {"signature": signature(Secret("t" * 40), ID, "1000")},
        {"expires": None},
        {"signature": None},
        {"expires": "abc", "signature": signature(SECRET, ID, "abc")},
        {"expires": "9" * 40, "signature": signature(SECRET, ID, "9" * 40)},
    ],
)
def test_an_altered_link_is_refused(change):
    given = {**parameters(signed_url(SECRET, "shop", ID, 1000)), **change}
    with pytest.raises(Forbidden):
        is_signed({name: value for name, value in given.items() if value is not None}, SECRET, ID, 0)


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 300), ("60", 60), ("0", 300), ("-5", 300), ("x", 300), ("4000", 3600), ("9" * 30, 300)]
)
def test_how_long_a_link_is_asked_for(text, seconds):
    assert read_ttl(text, 300) == seconds


@pytest.mark.parametrize("value", [ID, ID.upper(), {"id": ID}, {"id": ID, "url": 7}, f' {{"id": "{ID}"}}'])
def test_values_of_a_file_field(value):
    assert read_value(value, None) == {"id": ID}


@pytest.mark.parametrize(
    "value",
    [
        "x",
        ID[:-1],
        ID.replace("-", ""),
        f"{{{ID}}}",
        7,
        True,
        [],
        {},
        {"id": None},
        {"id": 7},
        "{",
        "[" * 9,
        "{" * 99_999,
    ],
)
def test_other_values_are_none_of_a_file_field(value):
    with pytest.raises(ValueError, match=r"file id|nested|Expecting|hexadecimal"):
        read_value(value, None)


def test_what_is_stored_and_shown():
    stored = {"id": ID, "filename": "a", "size": 1, "mime_type": "x/y"}
    wire = {**stored, "url": f"/api/shop/_files/{ID}"}
    assert list(show(stored, "shop").items()) == list(wire.items())
    assert keep(wire) == stored
    for junk in (None, [], "x", {}, {"id": 7}, 7):
        assert show(junk, "shop") is None
