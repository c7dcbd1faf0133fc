"""Random changes of training images: in each epoch, or stored once; stage views."""
