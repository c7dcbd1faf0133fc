"""Linear classifiers over features, with folds that keep together what belongs together."""
