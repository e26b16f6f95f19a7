"""The report: one HTML page that asks for nothing when opened, and the same facts as Parquet and Markdown.

Five steps, each a few modules:

* look: `output_kind` (what kind of output this is), `table_reading` (its tables, batch by batch), `best`
  (what of them is kept), `bin_counts` and `spans` (counts over values and over time);
* gather: `run_facts`, `dedup_facts`, `comparison_facts` (figures, in tables as `report_facts` declares them),
  `cards` and `cluster_cards` (what can be browsed); `run_parts` and `dedup_parts` bring them together;
* sum up, in `summing_up/`: the verdict, who is needed for what, why pairs were decided as they were, words;
* show images: `references` (where each is), `thumbnails` (small, bounded copies);
* write: `words`, `charts`, `html_page`, `markdown`, `fact_files`; `reporting` is the whole from a folder to
  files, within the bounds of `limits`.
"""
