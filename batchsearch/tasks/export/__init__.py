"""What an output folder holds, as one file for people: CSV, a spreadsheet, or one Parquet file."""
