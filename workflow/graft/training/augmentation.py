"""Where the checks of params.yaml import this from; it is in the room `augmentation`."""

from graft.augmentation.random_layers import switched_on as switched_on
