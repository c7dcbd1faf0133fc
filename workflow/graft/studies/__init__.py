"""Series of experiments: many settings with several seeds, run, compared and shown as one table."""
