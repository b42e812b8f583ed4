"""The files of a run, each declared once: fields, types and units. `docs/run_folder.md` is the page about them."""
