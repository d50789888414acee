"""Networks: layers and what they take, sizes, fields and jumps."""
