"""What a person should know before a result is trusted."""
