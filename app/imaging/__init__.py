"""Uploaded pictures become small clean ones: known formats only, nothing but the pixels kept, a bounded child process.

Pure: standard library and Pillow only, and no input but the open file it is given. Pillow itself is imported by
`app.imaging.redraw`, which only the child process needs.
"""

from app.imaging.process import MAX_PIXELS, PictureRedrawer, Redrawn

__all__ = ["MAX_PIXELS", "PictureRedrawer", "Redrawn"]
