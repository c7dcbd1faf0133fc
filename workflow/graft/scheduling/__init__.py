"""What Snakemake needs to know, and how a run begins and ends."""
