"""Where the checks of params.yaml import this from; it is in the room `audit`."""

from graft.audit.unfreezing import UNFREEZE as UNFREEZE
from graft.audit.unfreezing import first_of_block as first_of_block
