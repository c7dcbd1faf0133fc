"""The models measured on the test part; stage evaluate."""
