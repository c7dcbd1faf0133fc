"""A model on other labelled photos, beside what its page promises."""
