"""The processes that work in a project, on this machine and on others."""
