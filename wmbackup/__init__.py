"""Back up Windows Media DRM licenses into a signed archive that stock tools open."""

__version__ = "0.1.0"
