"""How numbers are written for people."""


def say_percent(share: float, digits: int = 1, space: str = " ") -> str:
    """A fraction as a percentage, such as `97.3 %`."""
    return f"{100 * share:.{digits}f}{space}%"


def say_bytes(count: int) -> str:
    """A number of bytes in MB with two digits or more, such as `0.47 MB` or `98 MB`."""
    mega = count / 1e6
    return f"{mega:.{2 if mega < 1 else 1 if mega < 100 else 0}f} MB"
