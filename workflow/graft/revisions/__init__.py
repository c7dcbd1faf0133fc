"""What commits and experiments have, and how two of them compare."""
