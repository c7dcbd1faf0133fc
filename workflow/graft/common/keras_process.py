"""Where a stage goes on once it needs Keras, whose import takes four seconds.

A process of a run has imported it, if there is one (`scheduling/fork_server.py`). No stage says
beforehand whether it will need Keras: that depends on parameters, and on what earlier stages chose.
"""


class HandedOver(BaseException):
    """This process ends here, and another one runs the stage from its beginning.

    It is no Exception, which a stage may catch.
    """


_is_elsewhere = False


def expect_keras_elsewhere() -> None:
    """Lets `need_keras` hand the stage over; to be called before the stage runs."""
    global _is_elsewhere
    _is_elsewhere = True


def need_keras() -> None:
    """To be called before Keras is imported.

    Raises:
        HandedOver: another process has it.
    """
    if _is_elsewhere:
        raise HandedOver
