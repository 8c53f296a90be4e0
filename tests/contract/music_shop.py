"""The document of a music shop: ten entities, ten relations and more than 15,000 rows, the same every time."""

from rocket_kernel.testing import entity, many_to_many, one_to_many

ARTISTS, ALBUMS, TRACKS, GENRES, MEDIA_TYPES = 300, 400, 3500, 25, 5
EMPLOYEES, CUSTOMERS, INVOICES, LINES, PLAYLISTS, LINKS = 20, 60, 450, 2400, 20, 8000
ROWS = ARTISTS + ALBUMS + TRACKS + GENRES + MEDIA_TYPES + EMPLOYEES + CUSTOMERS + INVOICES + LINES + PLAYLISTS + LINKS

ENTITIES = [
    entity("artist", id="int", name="string!"),
    entity("album", {"slug": {"field": "slug", "source": "title"}}, id="int", title="string!", slug="string unique",
           artist_id="int!"),
    entity("genre", id="int", name="string! unique"),
    entity("media_type", id="int", name="string!"),
    entity("track", id="int", name="string!", album_id="int", genre_id="int", media_type_id="int!", composer="string",
           milliseconds="int!", bytes="bigint", unit_price="decimal:2"),
    entity("employee", id="int", last_name="string!", first_name="string!", boss_id="int", hired="date"),
    entity("customer", {"soft_delete": True}, id="int", last_name="string!", email="string! unique", country="string",
           support_rep_id="int"),
    entity("invoice", id="int", customer_id="int!", invoice_date="timestamp", total="decimal:2"),
    entity("invoice_line", {"table": "invoice_lines"}, id="int", invoice_id="int!", track_id="int!",
           unit_price="decimal:2", quantity="int"),
    entity("playlist", id="int", name="string!"),
]  # fmt: skip

RELATIONS = [
    one_to_many("albums", "artist", "album", on_delete="cascade"),
    one_to_many("tracks", "album", "track", on_delete="cascade"),
    one_to_many("genre_tracks", "genre", "track", on_delete="set_null"),
    one_to_many("media_tracks", "media_type", "track", on_delete="restrict"),
    one_to_many("reports", "employee", "employee", "boss_id", on_delete="set_null"),
    one_to_many("clients", "employee", "customer", "support_rep_id"),
    one_to_many("invoices", "customer", "invoice", on_delete="restrict"),
    one_to_many("lines", "invoice", "invoice_line", on_delete="cascade"),
    one_to_many("sales", "track", "invoice_line", on_delete="restrict"),
    many_to_many("playlist_tracks", "playlist", "track", "playlist_track"),
]


def music_shop():
    """Rows refer to each other by remainders; the first album is the one that was never sold."""
    return {"version": 1, "entities": ENTITIES, "relations": RELATIONS, "sample_data": _rows()}


def _rows():
    return {
        "artist": _many(ARTISTS, lambda n: {"name": f"Artist {n:03}"}),
        "album": _many(ALBUMS, lambda n: {"title": f"Album {n:03}", "artist_id": _other(n, ARTISTS)}),
        "genre": _many(GENRES, lambda n: {"name": f"Genre {n}"}),
        "media_type": _many(MEDIA_TYPES, lambda n: {"name": f"Media {n}"}),
        "track": _many(TRACKS, _track),
        "employee": _many(EMPLOYEES, _employee),
        "customer": _many(CUSTOMERS, _customer),
        "invoice": _many(INVOICES, _invoice),
        "invoice_lines": _many(LINES, _line),
        "playlist": _many(PLAYLISTS, lambda n: {"name": f"Playlist {n}"}),
        "playlist_track": [
            {"playlist_id": number % PLAYLISTS + 1, "track_id": number // PLAYLISTS * 7 + 1} for number in range(LINKS)
        ],
    }


def _many(count, make):
    return [{"id": number, **make(number)} for number in range(1, count + 1)]


def _other(number, count):
    return (number - 1) % count + 1


def _track(number):
    return {
        "name": f"Track {number:04}",
        "album_id": _other(number, ALBUMS),
        "genre_id": _other(number, GENRES),
        "media_type_id": _other(number, MEDIA_TYPES),
        "composer": None if number % 3 else f"Composer {number % 40}",
        "milliseconds": 100_000 + number * 37 % 200_000,
        "bytes": 5_000_000_000 + number,
        "unit_price": "0.99" if number % 10 else "1.99",
    }


def _employee(number):
    return {
        "last_name": f"Last {number}",
        "first_name": f"First {number}",
        "boss_id": None if number == 1 else number // 2,
        "hired": f"20{number:02}-03-01",
    }


def _customer(number):
    return {
        "last_name": f"Customer {number}",
        "email": f"c{number}@example.com",
        "country": ("Norway", "Brazil", "Japan")[number % 3],
        "support_rep_id": _other(number, EMPLOYEES),
    }


def _invoice(number):
    customer = _other(number, CUSTOMERS)
    return {"customer_id": customer, "invoice_date": f"2024-{number % 12 + 1:02}-15T12:00:00Z", "total": number / 4}


def _line(number):
    # Tracks 2 to 301, so that album 1 with its tracks 1, 401, … stays free.
    return {"invoice_id": _other(number, INVOICES), "track_id": number % 300 + 2, "unit_price": 0.99, "quantity": 1}
