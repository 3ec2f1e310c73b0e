"""Import: files of other programs in, products and events into the store, what cannot be taken into a rejects file.

`run.import_paths` is the way in; `formats` lists every format on one page. Nothing here knows a database or a model.
"""
