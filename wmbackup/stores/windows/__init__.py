"""The documented Windows Media interface, as an exporter and importer below our own archive.

`com`, `callback`, `wmsdkidl`, `wmdrmsdk`, `interface` and `enumeration` exist on Windows alone:
importing one of them anywhere else is an AssertionError. This package, `following` and `reading`
import everywhere.
"""
