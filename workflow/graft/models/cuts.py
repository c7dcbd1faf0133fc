"""Where a network can be divided in two with one tensor between."""

from graft.models.framework import keras


def find_cuts(network: keras.Model) -> list[str]:
    """The layers by whose output alone the rest of a network can be computed.

    Args:
        network: a functional model with one input and one output, in which each layer is called
            once.

    Returns:
        Their names, from the input to the output, both included. A layer inside a residual block
        or an inception block is none of them, since something passes by it.
    """
    operations = network.operations
    produced = {
        id(tensor): number
        for number, operation in enumerate(operations)
        for tensor in keras.tree.flatten(operation.output)
    }
    last_use = {number: number for number in range(len(operations))}
    for number, operation in enumerate(operations[1:], 1):
        for tensor in keras.tree.flatten(operation.input):
            last_use[produced[id(tensor)]] = number
    found, furthest = [], 0  # the last place at which anything seen so far is needed
    for number, operation in enumerate(operations):
        # Only this output goes further: all before it have been used by now.
        single = len(keras.tree.flatten(operation.output)) == 1
        if furthest <= number and single and isinstance(operation, keras.Layer):
            found.append(operation.name)
        furthest = max(furthest, last_use[number])
    return found
