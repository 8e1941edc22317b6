"""The documented Windows Media interface, as an exporter and importer below our own archive.

`com`, `callback`, `wmsdkidl`, `wmdrmsdk`, `interface`, `enumeration` and `machine` exist on Windows
alone: importing one of them anywhere else is an AssertionError. `store` drives them through one
narrow `Binding`; it and the rest import everywhere.
"""
