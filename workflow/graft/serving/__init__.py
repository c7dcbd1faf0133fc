"""The page of `graft open`: the data set, the model on other photos, and decisions on labels."""
