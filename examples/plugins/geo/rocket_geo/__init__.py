"""Places on Earth: the field type `point`, the filter operator `near`, and a distance for expressions."""

from rocket_geo.plugin import GeoPlugin

__all__ = ["GeoPlugin"]
