"""Every file of a data set with its label: by a table, its folders, or its name."""
