"""What graft puts into DVC, in every process that runs it."""
