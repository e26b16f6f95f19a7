"""One row on its way: from the manifest to its request, its answer and its outcome."""
