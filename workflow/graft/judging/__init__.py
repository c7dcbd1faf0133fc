"""How good models are: units, losses, the choice between models, calibration, measures."""
