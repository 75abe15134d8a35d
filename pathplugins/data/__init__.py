"""Feature bags, records and the formats they come from; knows no trainer."""
