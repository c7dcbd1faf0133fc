"""What stands in the column `part` of the split."""

PARTS = ("train", "valid", "test")
# An image in no part has this and the reason instead.
LEFT_OUT = "left out: "
