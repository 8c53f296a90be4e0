"""What Sphinx goes by. Theme and search come with their packages: the pages ask no other host for anything."""

project = "Rocket"
html_title = "Rocket"
html_theme = "furo"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_linkify_fuzzy_links = False

root_doc = "README"
suppress_warnings = [
    "misc.highlighting_failure",  # blocks of JSON may leave things out with an ellipsis
    "myst.header",  # pages may begin a part two levels deeper
]
