"""Commands of a run as forks of a process that has imported what they need: server and client."""
