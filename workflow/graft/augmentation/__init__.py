"""Augmentation, random changes of training images: in each epoch, or stored once as views."""
