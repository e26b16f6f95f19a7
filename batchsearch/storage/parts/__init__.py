"""What a run leaves behind: Arrow schemas, sealed Parquet parts."""
