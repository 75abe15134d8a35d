"""Reading that the record formats share: rows of JSON, tables, parquet and pickles, assembled into records."""
