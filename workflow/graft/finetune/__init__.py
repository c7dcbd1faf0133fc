"""Network and head trained together; stage finetune."""
