"""How good models are and how sure that is: measures, intervals, tests of significance."""
