"""The files of single runtimes: how each is written, and run."""
