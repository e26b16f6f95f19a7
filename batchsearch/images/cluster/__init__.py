"""Images made ready by the workers of a Dask cluster; nothing outside this folder knows of Dask."""
