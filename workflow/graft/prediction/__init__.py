"""Labels for photos: by the model of a project, or by a network as Keras trained it."""
