"""Whether an output folder is whole: its parts, its ledger and its manifest compared row by row.

`ledger_view` reads the ledger as of one moment, `layout` knows where its parts are, `parts_scan` reads every
sealed file, `manifest_keys` the manifest; each row, wherever it is met, becomes a small record in
`row_records`, which keeps them on disk in slices. `row_comparison` (pure) joins a slice and says what does
not agree, `folder_check` puts all of it together, `findings` is the closed table of what can be found,
`verify_page` what people and schedulers read. Nothing is ever changed.
"""
