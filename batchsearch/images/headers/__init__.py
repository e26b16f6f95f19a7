"""One reader of file structure for each family of formats; none of them decodes a pixel."""
